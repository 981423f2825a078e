"""What the source behind the device's noise port gives, byte for byte, whichever engine runs."""

__all__ = ["NOISE_SALT", "NoiseSource"]

NOISE_SALT = 0x6E6F_6973
"""Keeps the noise of an engine apart from its other random choices, which come from the same seed."""

_MASK = (1 << 64) - 1


def _rotated(value: int, count: int) -> int:
    return (value << count | value >> 64 - count) & _MASK


def _split_mix(state: int) -> tuple[int, int]:
    """The next state of splitmix64, and its number."""
    state = state + 0x9E37_79B9_7F4A_7C15 & _MASK
    z = (state ^ state >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB & _MASK
    return state, z ^ z >> 31


class NoiseSource:
    """A seeded source of bytes: the same for the same seed.

    The generator is xoshiro256**, its state from splitmix64 of ``seed``; each of its numbers gives 8 bytes,
    the lowest first. Ref: Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM
    Transactions on Mathematical Software 47, 2021.
    """

    def __init__(self, seed: int):
        state = (seed ^ NOISE_SALT) & _MASK
        self._words = [0] * 4
        for n in range(4):
            state, self._words[n] = _split_mix(state)
        self._rest = b""

    def _next(self) -> int:
        words = self._words
        result = _rotated(words[1] * 5 & _MASK, 7) * 9 & _MASK
        shifted = words[1] << 17 & _MASK
        words[2] ^= words[0]
        words[3] ^= words[1]
        words[1] ^= words[2]
        words[0] ^= words[3]
        words[2] ^= shifted
        words[3] = _rotated(words[3], 45)
        return result

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        parts = [self._rest]
        left = count - len(self._rest)
        while left > 0:
            parts.append(self._next().to_bytes(8, "little"))
            left -= 8
        whole = b"".join(parts)
        self._rest = whole[count:]
        return whole[:count]
