// The medium behind the MAC port: takes frames from the device, and gives it others, one beat a cycle.
#pragma once

#include <deque>
#include <vector>

#include "peripheral.h"

namespace rw {

using Bytes = std::vector<std::uint8_t>;

// Frames of one length that lie one behind the other in memory, and which is next.
struct Rows {
  const std::uint8_t* bytes = nullptr;
  std::size_t length = 0;
  std::size_t count = 0;
  std::size_t next = 0;

  const std::uint8_t* front() const { return bytes + next * length; }
  void pop() { next = next + 1 == count ? 0 : next + 1; }
};

class Mac final : public Peripheral {
 public:
  explicit Mac(Board& board);

  // While it is down frames are lost both ways. Up from the start. The device sees it.
  void link(bool up);

  // Whether frames of the device come back to it; otherwise they wait to be fetched, each with an event.
  void loopback(bool on) { loopback_ = on; }

  // Queues a frame for the device, not before cycle due; error marks it as not received well. False: lost.
  bool send(Bytes&& frame, std::uint64_t due, bool error);

  // The oldest frame of the device that nobody has fetched, or null, and when its last beat was taken.
  const Bytes* front() const { return sent_.empty() ? nullptr : &sent_.front().bytes; }
  std::uint64_t front_time() const { return sent_.front().time; }
  void pop() { sent_.pop_front(); }

  // Gives the device so many frames more, which are the rows in turn, whenever no other frame is due. The
  // rows stay where they are. While the link is down they wait.
  void supply(Rows rows, std::uint64_t frames) {
    supply_ = rows;
    supplies_left_ = rows.count == 0 ? 0 : frames;
  }

  // From now on frames of the device are compared with the rows in turn, and not kept. No rows: they are kept.
  void expect(Rows rows) { expected_ = rows; }

  void transfer() override;
  void drive() override;
  bool calm() const override;
  // A frame in flight ends here; frames that wait stay.
  void reset() override;

 private:
  static constexpr std::size_t most_frames = 4096;
  struct Frame {
    Bytes bytes;
    std::uint64_t time;
    bool error;
  };

  using Beat = port::mac_rx::Payload;

  bool has_beat() const {
    if (position_ != 0) return true;
    return (!waiting_.empty() && waiting_.front().time <= shared_.now) || supplies();
  }
  bool waits() const { return position_ != 0 || !waiting_.empty() || supplies(); }
  void take(const port::mac_tx::Payload& beat);
  const Beat& beat();
  void beat_taken();
  void capture(bool out, bool bad, Capture::Bytes frame);
  void note(TimelineKind kind, std::uint64_t begin, std::size_t bytes);
  void arrived(bool error);
  void compare();
  void leave();
  bool supplies() const { return supplies_left_ != 0 && up_; }

  Taker<port::mac_tx> tx_;
  Giver<port::mac_rx> rx_;
  bool up_ = true;
  bool loopback_ = false;
  bool inside_ = false;
  Bytes taken_{};
  std::deque<Frame> sent_{};
  std::deque<Frame> waiting_{};
  Rows supply_{};
  std::uint64_t supplies_left_ = 0;
  Rows expected_{};
  bool supplied_ = false;     // the frame on its way to the device is a supplied one
  std::size_t position_ = 0;  // in that frame
  std::uint64_t out_begun_ = 0;  // the frame of the device
  std::uint64_t in_begun_ = 0;
  Beat beat_{};
};

}  // namespace rw
