// The medium behind the MAC port: takes frames from the device, and gives it others, one beat a cycle.
#pragma once

#include <deque>
#include <vector>

#include "shared.h"
#include "types.h"

namespace rw {

using Bytes = std::vector<std::uint8_t>;

class Mac {
 public:
  explicit Mac(Shared& shared) : shared_(shared) {}

  // While it is down frames are lost both ways. Up from the start.
  void link(bool up) { up_ = up; }

  // Whether frames of the device come back to it; otherwise they wait to be fetched, each with an event.
  void loopback(bool on) { loopback_ = on; }

  // Queues a frame for the device, not before cycle due; error marks it as not received well. False: lost.
  bool send(Bytes&& frame, std::uint64_t due, bool error);

  // The oldest frame of the device that nobody has fetched, or null, and when its last beat was taken.
  const Bytes* front() const { return sent_.empty() ? nullptr : &sent_.front().bytes; }
  std::uint64_t front_time() const { return sent_.front().time; }
  void pop() { sent_.pop_front(); }

  void take(const MacBeat& beat);

  bool has_beat() const { return !waiting_.empty() && (position_ != 0 || waiting_.front().time <= shared_.now); }
  bool waits() const { return !waiting_.empty(); }
  const MacBeat& beat();
  void beat_taken();

  // A frame that is under way ends here; frames that wait stay.
  void reset();

 private:
  static constexpr std::size_t most_frames = 4096;
  struct Frame {
    Bytes bytes;
    std::uint64_t time;
    bool error;
  };

  void arrived(bool error);

  Shared& shared_;
  bool up_ = true;
  bool loopback_ = false;
  bool inside_ = false;
  Bytes taken_{};
  std::deque<Frame> sent_{};
  std::deque<Frame> waiting_{};
  std::size_t position_ = 0;
  MacBeat beat_{};
};

}  // namespace rw
