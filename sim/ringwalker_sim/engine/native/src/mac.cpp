#include "mac.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rw {

bool Mac::send(Bytes&& frame, std::uint64_t due, bool error) {
  if (!up_ || waiting_.size() >= most_frames) {
    ++shared_.stats.mac_lost;
    return false;
  }
  waiting_.push_back({std::move(frame), due, error});
  return true;
}

void Mac::take(const MacBeat& beat) {
  constexpr std::size_t full = sizeof(BeatData);
  if (beat.first == inside_) shared_.violation("mac_tx: first is %d", beat.first);
  if (beat.count == 0 || beat.count > full || (!beat.last && beat.count != full)) {
    shared_.violation("mac_tx: %u bytes in a beat whose last is %d", beat.count, beat.last);
  }
  if (beat.first) taken_.clear();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(beat.data.data());
  taken_.insert(taken_.end(), bytes, bytes + std::min<std::size_t>(beat.count, full));
  inside_ = !beat.last;
  if (beat.last) arrived(beat.error);
}

void Mac::arrived(bool error) {
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

const MacBeat& Mac::beat() {
  if (position_ == 0) supplied_ = waiting_.empty() || waiting_.front().time > shared_.now;
  const std::uint8_t* bytes = supplied_ ? supply_.front() : waiting_.front().bytes.data();
  const std::size_t length = supplied_ ? supply_.length : waiting_.front().bytes.size();
  const std::size_t count = std::min(sizeof(BeatData), length - position_);
  beat_.data.fill(0);
  std::memcpy(beat_.data.data(), bytes + position_, count);
  beat_.count = static_cast<std::uint32_t>(count);
  beat_.first = position_ == 0;
  beat_.last = position_ + count == length;
  beat_.error = beat_.last && !supplied_ && waiting_.front().error;
  return beat_;
}

void Mac::beat_taken() {
  position_ += beat_.count;
  if (!beat_.last) return;
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

void Mac::reset() {
  inside_ = false;
  if (position_ != 0) leave();
}

}  // namespace rw
