// The disk behind the storage port: commands in order, one beat a cycle, after a latency.
#pragma once

#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "image.h"
#include "peripheral.h"

namespace rw {

class Storage final : public Peripheral {
 public:
  explicit Storage(Board& board);

  // The disk, whose size and kind the device's ports capacity and read_only say, if it has them. Without one
  // every read and write fails.
  void attach(Image&& image, bool read_only);

  // Drives the device's port capacity, if it has one.
  void capacity(std::uint64_t sectors);

  // The nth data command from now (0 is the next) answers with an error.
  void fail(std::uint64_t nth);

  void transfer() override;
  void drive() override;
  bool calm() const override;
  void reset() override;

 private:
  using Command = port::storage_commands::Payload;
  static constexpr std::size_t most_commands = 64;
  static constexpr std::uint64_t window_bytes = 1 << 16;
  static constexpr std::size_t beat_bytes = sizeof(port::storage_read_data::Payload::data);
  struct Queued {
    Command command;
    std::uint64_t due;
    std::uint64_t taken;
  };
  struct Result {
    bool error;
    TimelineEvent event;
  };

  bool wants_data() const { return active_ && op() == StorageOp::WRITE && position_ < length_; }
  bool has_data() const { return active_ && op() == StorageOp::READ && position_ < length_; }
  StorageOp op() const { return static_cast<StorageOp>(head_.op); }
  void command(const Command& command);
  void data(const port::storage_write_data::Payload& beat);
  void data_taken();
  void answered();
  void tick();
  void start();
  void cut();
  std::uint8_t* in_window() { return window_.data() + position_ % window_bytes; }
  // Where on the disk the window that holds the byte of the command at position begins.
  std::uint64_t window_offset(std::uint64_t position) const {
    return head_.sector * sector_bytes + position / window_bytes * window_bytes;
  }
  // What the image has given; unless it is 0 the command fails. Each kind of failure is reported once.
  void judge(std::uint64_t offset, int result);

  Taker<port::storage_commands> commands_;
  Taker<port::storage_write_data> write_data_;
  Giver<port::storage_read_data> read_data_;
  Giver<port::storage_results> answers_;
  Image image_{};
  bool read_only_ = false;
  std::deque<Queued> queue_{};
  std::deque<Result> results_{};
  std::deque<std::uint64_t> failures_{};  // numbers of data commands that fail
  std::vector<std::pair<StorageOp, int>> reported_{};
  std::array<std::uint8_t, window_bytes> window_{};  // what was read ahead, or is to be written
  std::uint64_t data_commands_ = 0;
  Command head_{};
  port::storage_read_data::Payload beat_{};
  std::uint64_t due_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t position_ = 0;  // in bytes of the active command
  std::uint64_t length_ = 0;
  bool active_ = false;
  bool error_ = false;
};

}  // namespace rw
