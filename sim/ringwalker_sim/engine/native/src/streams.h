// Both ends of streams, with the rules of a stream checked on what the device drives. A Port is a class of ports.h.
#pragma once

#include <algorithm>
#include <utility>

#include "packets.h"
#include "pins.h"
#include "rng.h"
#include "shared.h"

namespace rw {

// What the ends of streams work with.
struct Board {
  Shared& shared;
  Pins& pins;
  Rng& stalls;
};

// Takes what the device offers.
template <class Port>
class Taker {
 public:
  using Payload = typename Port::Payload;

  explicit Taker(Board& board) : board_(board) {}

  // Before an edge: whether payload() is taken with it. Valid must not be withdrawn and the payload must not
  // change while the stream waits.
  bool transfer() {
    const bool valid = offered();
    if (valid) Port::get(board_.pins.model(), payload_);
    if (waiting_ && !valid) board_.shared.violation("%s: valid was withdrawn before ready", Port::name);
    if (waiting_ && valid && !(payload_ == held_)) {
      board_.shared.violation("%s: the payload changed while it waited", Port::name);
    }
    waiting_ = valid && !ready_;
    if (waiting_) held_ = payload_;
    return valid && ready_;
  }

  const Payload& payload() const { return payload_; }

  // Accepts after the edge when there is room and this is no cycle to stall.
  void drive(bool room, std::uint64_t stall) { ready(room && !board_.stalls.chance(stall)); }

  bool offered() const { return Port::valid(board_.pins.model()); }

  void reset() {
    waiting_ = false;
    ready(false);
  }

 private:
  void ready(bool on) {
    ready_ = on;
    Port::ready(board_.pins.model(), on);
  }

  Board& board_;
  Payload payload_{};
  Payload held_{};
  bool waiting_ = false;
  bool ready_ = false;
};

// Offers something to the device. What was offered stays until it is taken.
template <class Port>
class Giver {
 public:
  explicit Giver(Board& board) : board_(board) {}

  bool valid() const { return valid_; }

  // Whether the device takes what it is offered, if that is so.
  bool accepted() const { return Port::ready(board_.pins.model()); }

  // Before an edge: whether what is offered is taken with it.
  bool transfer() {
    if (!valid_ || !accepted()) return false;
    valid_ = false;
    return true;
  }

  // Offers payload() after the edge when there is something new and this is no cycle to stall.
  template <class Payload>
  void drive(bool has, std::uint64_t stall, Payload&& payload) {
    if (!valid_ && has && !board_.stalls.chance(stall)) {
      valid_ = true;
      Port::put(board_.pins.model(), payload());
    }
    Port::valid(board_.pins.model(), valid_);
  }

  void reset() {
    valid_ = false;
    Port::valid(board_.pins.model(), false);
  }

 private:
  Board& board_;
  bool valid_ = false;
};

// Beats of a TLP at the port: it begins a beat of its own.
inline std::uint64_t beats_of(std::uint64_t dwords) { return dwords == 0 ? 1 : (dwords + beat_dwords - 1) / beat_dwords; }

// Takes beats from the device and puts packets together.
template <class Port>
class PacketSink {
 public:
  using Beat = typename Port::Payload;
  using Header = decltype(Beat::header);

  explicit PacketSink(Board& board) : shared_(board.shared), beats_(board) {}

  // Before an edge; true when packet() is complete with it.
  bool transfer() { return beats_.transfer() && take(beats_.payload()); }

  const Packet<Header>& packet() const { return packet_; }

  void drive(bool room, std::uint64_t stall) { beats_.drive(room, stall); }

  void reset() {
    beats_.reset();
    inside_ = false;
  }

 private:
  bool take(const Beat& beat) {
    if (beat.first == inside_) shared_.violation("%s: first is %d", Port::name, beat.first);
    if (!inside_) {
      packet_.header = beat.header;
      packet_.payload.clear();
    } else if (!(beat.header == packet_.header)) {
      shared_.violation("%s: the header changed inside a packet", Port::name);
    }
    const std::size_t wanted = payload_dwords(packet_.header);
    const std::size_t left = wanted - std::min(wanted, packet_.payload.size());
    const std::size_t count = std::min<std::size_t>(left, beat_dwords);
    const std::uint32_t mask = (1u << count) - 1;
    const std::uint32_t dwords = beat.dwords;
    if (dwords != mask) shared_.violation("%s: dwords is 0x%x, not 0x%x", Port::name, dwords, mask);
    const bool last = left <= beat_dwords;
    if (beat.last != last) shared_.violation("%s: last is %d with %zu dwords left", Port::name, beat.last, left);
    packet_.payload.insert(packet_.payload.end(), beat.data.begin(), beat.data.begin() + count);
    inside_ = !beat.last;
    return beat.last && packet_.payload.size() == wanted;
  }

  Shared& shared_;
  Taker<Port> beats_;
  Packet<Header> packet_{};
  bool inside_ = false;
};

// Cuts packets into beats for the device.
template <class Port>
class PacketSource {
 public:
  using Beat = typename Port::Payload;
  using Header = decltype(Beat::header);

  explicit PacketSource(Board& board) : beats_(board) {}

  bool busy() const { return busy_; }
  bool valid() const { return beats_.valid(); }
  bool accepted() const { return beats_.accepted(); }
  const Header& header() const { return packet_.header; }
  const Packet<Header>& packet() const { return packet_; }

  void start(Packet<Header>&& packet) {
    packet_ = std::move(packet);
    position_ = 0;
    busy_ = true;
  }

  void drive(std::uint64_t stall) {
    beats_.drive(busy_, stall, [this]() -> const Beat& { return cut(); });
  }

  // Before an edge; true when the packet's last beat is taken with it.
  bool transfer() {
    if (!beats_.transfer()) return false;
    position_ += beat_dwords;
    busy_ = position_ < packet_.payload.size();
    return !busy_;
  }

  void reset() {
    busy_ = false;
    beats_.reset();
  }

 private:
  const Beat& cut() {
    const std::size_t left = packet_.payload.size() - position_;
    const std::size_t count = std::min<std::size_t>(left, beat_dwords);
    beat_.header = packet_.header;
    std::copy_n(packet_.payload.begin() + static_cast<std::ptrdiff_t>(position_), count, beat_.data.begin());
    beat_.dwords = static_cast<decltype(beat_.dwords)>((1u << count) - 1);
    beat_.first = position_ == 0;
    beat_.last = left <= beat_dwords;
    return beat_;
  }

  Giver<Port> beats_;
  Packet<Header> packet_{};
  Beat beat_{};
  std::size_t position_ = 0;
  bool busy_ = false;
};

}  // namespace rw
