// Both ends of packet streams, with the rules of a stream checked on what the device drives.
#pragma once

#include <algorithm>
#include <utility>

#include "shared.h"
#include "types.h"

namespace rw {

// Valid must not be withdrawn and the payload must not change while the stream waits for ready.
template <class Payload>
class StallCheck {
 public:
  StallCheck(Shared& shared, const char* name) : shared_(shared), name_(name) {}

  void cycle(bool valid, bool ready, const Payload& payload) {
    if (waiting_ && !valid) shared_.violation("%s: valid was withdrawn before ready", name_);
    if (waiting_ && valid && !(payload == held_)) shared_.violation("%s: the payload changed while it waited", name_);
    waiting_ = valid && !ready;
    if (waiting_) held_ = payload;
  }

  void reset() { waiting_ = false; }

 private:
  Shared& shared_;
  const char* name_;
  bool waiting_ = false;
  Payload held_{};
};

// Takes beats from the device and puts packets together.
template <class Header>
class PacketSink {
 public:
  PacketSink(Shared& shared, const char* name) : shared_(shared), name_(name), stall_(shared, name) {}

  // One cycle of the stream; true when packet() is complete. beat counts only when valid.
  bool cycle(bool valid, bool ready, const Beat<Header>& beat) {
    stall_.cycle(valid, ready, beat);
    return valid && ready && take(beat);
  }

  const Packet<Header>& packet() const { return packet_; }

  void reset() {
    stall_.reset();
    inside_ = false;
  }

 private:
  bool take(const Beat<Header>& beat) {
    if (beat.first == inside_) shared_.violation("%s: first is %d", name_, beat.first);
    if (!inside_) {
      packet_.header = beat.header;
      packet_.payload.clear();
    } else if (!(beat.header == packet_.header)) {
      shared_.violation("%s: the header changed inside a packet", name_);
    }
    const std::size_t wanted = payload_dwords(packet_.header);
    const std::size_t left = wanted - std::min(wanted, packet_.payload.size());
    const std::size_t count = std::min<std::size_t>(left, beat_dwords);
    const std::uint32_t mask = (1u << count) - 1;
    if (beat.dwords != mask) shared_.violation("%s: dwords is 0x%x, not 0x%x", name_, beat.dwords, mask);
    const bool last = left <= beat_dwords;
    if (beat.last != last) shared_.violation("%s: last is %d with %zu dwords left", name_, beat.last, left);
    packet_.payload.insert(packet_.payload.end(), beat.data.begin(), beat.data.begin() + count);
    inside_ = !beat.last;
    return beat.last && packet_.payload.size() == wanted;
  }

  Shared& shared_;
  const char* name_;
  StallCheck<Beat<Header>> stall_;
  Packet<Header> packet_{};
  bool inside_ = false;
};

// Cuts packets into beats for the device. A beat that was shown stays until it is taken.
template <class Header>
class PacketSource {
 public:
  bool busy() const { return busy_; }
  bool valid() const { return valid_; }
  const Beat<Header>& beat() const { return beat_; }
  const Header& header() const { return packet_.header; }

  void start(Packet<Header>&& packet) {
    packet_ = std::move(packet);
    position_ = 0;
    busy_ = true;
    cut();
  }

  // Whether there is a beat that is not shown yet.
  bool wants_show() const { return busy_ && !valid_; }

  // Shows it unless this is a cycle to stall; true when it is shown now.
  bool show(bool stall) { return valid_ = !stall; }

  // The beat was taken; true when it was the packet's last.
  bool advance() {
    valid_ = false;
    position_ += beat_dwords;
    busy_ = position_ < packet_.payload.size();
    if (busy_) cut();
    return !busy_;
  }

  void reset() { busy_ = valid_ = false; }

 private:
  void cut() {
    const std::size_t left = packet_.payload.size() - position_;
    const std::size_t count = std::min<std::size_t>(left, beat_dwords);
    beat_.header = packet_.header;
    std::copy_n(packet_.payload.begin() + static_cast<std::ptrdiff_t>(position_), count, beat_.data.begin());
    beat_.dwords = (1u << count) - 1;
    beat_.first = position_ == 0;
    beat_.last = left <= beat_dwords;
  }

  Packet<Header> packet_{};
  Beat<Header> beat_{};
  std::size_t position_ = 0;
  bool busy_ = false;
  bool valid_ = false;
};

}  // namespace rw
