#include "mac.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host.h"

namespace rw {

Mac::Mac(Board& board) : Peripheral(board), tx_(board), rx_(board) { pins_.drive<port::mac_link_up>(up_); }

void Mac::link(bool up) {
  up_ = up;
  pins_.drive<port::mac_link_up>(up);
  pins_.clock(false);
}

void Mac::transfer() {
  if (tx_.transfer()) take(tx_.payload());
  if (rx_.transfer()) beat_taken();
}

void Mac::drive() {
  tx_.drive(true, shared_.parameters.stall_mac_tx);
  rx_.drive(has_beat(), shared_.parameters.stall_mac_rx, [this]() -> const Beat& { return beat(); });
}

// A frame that the device does not take yet moves only when the guest does something.
bool Mac::calm() const {
  if (tx_.offered()) return false;
  return rx_.valid() ? !rx_.accepted() : !waits();
}

void Mac::reset() {
  tx_.reset();
  rx_.reset();
  inside_ = false;
  if (position_ != 0) leave();
}

bool Mac::send(Bytes&& frame, std::uint64_t due, bool error) {
  if (!up_ || waiting_.size() >= most_frames) {
    ++shared_.stats.mac_lost;
    return false;
  }
  waiting_.push_back({std::move(frame), due, error});
  return true;
}

void Mac::take(const port::mac_tx::Payload& beat) {
  constexpr std::size_t full = sizeof beat.data;
  if (beat.first == inside_) shared_.violation("mac_tx: first is %d", beat.first);
  if (beat.count == 0 || beat.count > full || (!beat.last && beat.count != full)) {
    shared_.violation("mac_tx: %u bytes in a beat whose last is %d", beat.count, beat.last);
  }
  if (beat.first) {
    taken_.clear();
    out_begun_ = shared_.now;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(beat.data.data());
  taken_.insert(taken_.end(), bytes, bytes + std::min<std::size_t>(beat.count, full));
  inside_ = !beat.last;
  if (beat.last) arrived(beat.error);
}

void Mac::arrived(bool error) {
  note(TimelineKind::FRAME_OUT, out_begun_, taken_.size());
  if (shared_.frames.on()) capture(true, error, taken_);
  Stats& stats = shared_.stats;
  if (error) {
    ++stats.mac_tx_errors;
    return;
  }
  ++stats.mac_tx_frames;
  stats.mac_tx_bytes += taken_.size();
  if (!up_) {
    ++stats.mac_lost;
  } else if (expected_.count != 0) {
    compare();
  } else if (loopback_) {
    send(std::exchange(taken_, {}), 0, false);
  } else {
    if (sent_.size() >= most_frames) {
      sent_.pop_front();
      ++stats.mac_lost;
    }
    shared_.event(EventKind::FRAME, 0, taken_.size(), 0);
    sent_.push_back({std::exchange(taken_, {}), shared_.now, false});
  }
}

void Mac::compare() {
  const bool same = taken_.size() == expected_.length && std::equal(taken_.begin(), taken_.end(), expected_.front());
  if (!same) ++shared_.stats.mac_tx_different;
  expected_.pop();
}

const Mac::Beat& Mac::beat() {
  if (position_ == 0) supplied_ = waiting_.empty() || waiting_.front().time > shared_.now;
  const std::uint8_t* bytes = supplied_ ? supply_.front() : waiting_.front().bytes.data();
  const std::size_t length = supplied_ ? supply_.length : waiting_.front().bytes.size();
  const std::size_t count = std::min(sizeof beat_.data, length - position_);
  beat_.data.fill(0);
  std::memcpy(beat_.data.data(), bytes + position_, count);
  beat_.count = static_cast<decltype(beat_.count)>(count);
  beat_.first = position_ == 0;
  beat_.last = position_ + count == length;
  beat_.error = beat_.last && !supplied_ && waiting_.front().error;
  return beat_;
}

void Mac::note(TimelineKind kind, std::uint64_t begin, std::size_t bytes) {
  shared_.timeline.add(kind, {begin, shared_.now, 0, 0, 0, 0, static_cast<std::uint32_t>(bytes), 0, 0});
}

void Mac::capture(bool out, bool bad, Capture::Bytes frame) {
  shared_.frames.add(shared_.now * shared_.parameters.period_ps / 1000, out, bad, {}, frame);
}

void Mac::beat_taken() {
  if (position_ == 0) in_begun_ = shared_.now;
  position_ += beat_.count;
  if (!beat_.last) return;
  note(TimelineKind::FRAME_IN, in_begun_, position_);
  if (shared_.frames.on()) {
    const std::uint8_t* frame = supplied_ ? supply_.front() : waiting_.front().bytes.data();
    capture(false, beat_.error, {frame, position_});
  }
  ++shared_.stats.mac_rx_frames;
  shared_.stats.mac_rx_bytes += position_;
  leave();
}

// The frame on its way to the device is over.
void Mac::leave() {
  position_ = 0;
  if (!supplied_) {
    waiting_.pop_front();
    return;
  }
  --supplies_left_;
  supply_.pop();
}

}  // namespace rw

extern "C" {

// 0 when the frame is lost. length is not 0.
std::uint32_t rw_mac_send(rw::Host* host, const std::uint8_t* frame, std::uint32_t length, std::uint64_t due,
                          std::uint32_t error) noexcept {
  return host->wake<rw::Mac>().send(rw::Bytes(frame, frame + length), due, error != 0);
}

// The length of the oldest frame of the device, and when it was complete; 0 when there is none.
std::uint32_t rw_mac_next(rw::Host* host, std::uint64_t* time) noexcept {
  const rw::Mac& mac = host->peripheral<rw::Mac>();
  if (mac.front() == nullptr) return 0;
  *time = mac.front_time();
  return static_cast<std::uint32_t>(mac.front()->size());
}

// Moves that frame to out, which has room for it.
void rw_mac_fetch(rw::Host* host, std::uint8_t* out) noexcept {
  rw::Mac& mac = host->peripheral<rw::Mac>();
  std::memcpy(out, mac.front()->data(), mac.front()->size());
  mac.pop();
}

// Frames for the device: rows of length bytes, in turn. The rows stay where they are until all are gone.
void rw_mac_supply(rw::Host* host, const std::uint8_t* rows, std::uint64_t length, std::uint64_t count,
                   std::uint64_t frames) noexcept {
  host->wake<rw::Mac>().supply({rows, length, count, 0}, frames);
}

// What frames of the device are compared with; count 0 ends that.
void rw_mac_expect(rw::Host* host, const std::uint8_t* rows, std::uint64_t length, std::uint64_t count) noexcept {
  host->peripheral<rw::Mac>().expect({rows, length, count, 0});
}

void rw_mac_loopback(rw::Host* host, std::uint32_t on) noexcept { host->peripheral<rw::Mac>().loopback(on != 0); }

void rw_mac_link(rw::Host* host, std::uint32_t up) noexcept { host->wake<rw::Mac>().link(up != 0); }

}  // extern "C"
