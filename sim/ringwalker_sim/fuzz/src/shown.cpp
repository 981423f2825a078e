#include "shown.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rw::fuzz {

Range Shown::asked(const RequestHeader& h) {
  const unsigned last = h.length == 1 ? h.first_be : h.last_be;
  Range range{h.address, 0};
  if (h.first_be != 0 && last != 0) {
    const auto low = static_cast<unsigned>(std::countr_zero(static_cast<unsigned>(h.first_be)));
    const auto high = static_cast<unsigned>(std::bit_width(last)) - 1;
    range = {h.address + low, 4u * (h.length - 1u) + high + 1 - low};
  }
  if (h.kind == RequestKind::MEMORY_READ) reads_[h.tag] = {true, range.begin + std::max<std::uint64_t>(range.size, 1)};
  return range;
}

std::optional<Piece> Shown::answered(const CompletionPacket& packet, Order order) {
  const CompletionHeader& h = packet.header;
  const Read& read = reads_[h.tag];
  if (!read.known || h.status != CompletionStatus::SUCCESS || !h.has_data || h.poisoned) return std::nullopt;
  const std::size_t skip = h.lower_address % 4;
  const std::size_t carried = 4 * packet.payload.size() - skip;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet.payload.data()) + skip;
  const std::size_t count = std::min<std::size_t>(carried, h.byte_count);
  return Piece{read.end - h.byte_count, {bytes, bytes + count}, order};
}

const Piece& Shown::keep(Piece&& piece) {
  if (pieces_.size() >= most_pieces) pieces_.pop_front();
  pieces_.push_back(std::move(piece));
  return pieces_.back();
}

bool Shown::get(std::uint64_t address, std::size_t size, std::uint8_t* out, Order& order) const {
  std::uint64_t missing = (std::uint64_t{1} << size) - 1;
  order = ~Order{0};
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend() && missing != 0; ++piece) {
    if (!piece->range().meets({address, size})) continue;
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t at = address + i - piece->address;
      if ((missing >> i & 1) == 0 || at >= piece->bytes.size()) continue;
      out[i] = piece->bytes[at];
      missing &= ~(std::uint64_t{1} << i);
      order = std::min(order, piece->order);
    }
  }
  return missing == 0;
}

void Shown::restarted() {
  reads_.fill({});
  pieces_.clear();
}

}  // namespace rw::fuzz
