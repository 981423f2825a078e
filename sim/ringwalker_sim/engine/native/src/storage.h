// The disk behind the storage port: commands in order, one beat a cycle, after a latency.
#pragma once

#include <deque>

#include "shared.h"
#include "types.h"

namespace rw {

class Storage {
 public:
  explicit Storage(Shared& shared) : shared_(shared) {}

  // The disk's bytes; they must stay where they are. Without an image every command fails.
  void attach(std::uint8_t* image, std::uint64_t sectors, bool read_only);

  // The nth data command from now (0 is the next) answers with an error.
  void fail(std::uint64_t nth);

  bool wants_command() const { return queue_.size() < most_commands; }
  void command(const StorageCommand& command);

  bool wants_data() const { return active_ && head_.op == StorageOp::WRITE && position_ < length_; }
  void data(const StorageBeat& beat);

  bool has_data() const { return active_ && head_.op == StorageOp::READ && position_ < length_; }
  const StorageBeat& beat() const { return beat_; }
  void data_taken();

  bool has_result() const { return !results_.empty(); }
  bool result() const { return results_.front(); }
  void result_taken() { results_.pop_front(); }

  // Nothing is queued and nothing waits to be taken.
  bool quiet() const { return !active_ && queue_.empty() && results_.empty(); }

  // Called every cycle after the transfers of the cycle.
  void tick();
  void reset();

 private:
  static constexpr std::size_t most_commands = 64;
  struct Queued {
    StorageCommand command;
    std::uint64_t due;
  };

  void start();
  void cut();

  Shared& shared_;
  std::uint8_t* image_ = nullptr;
  std::uint64_t sectors_ = 0;
  bool read_only_ = false;
  std::deque<Queued> queue_{};
  std::deque<bool> results_{};
  std::deque<std::uint64_t> failures_{};  // numbers of data commands that fail
  std::uint64_t data_commands_ = 0;
  StorageCommand head_{};
  StorageBeat beat_{};
  std::uint64_t due_ = 0;
  std::uint64_t position_ = 0;  // in bytes of the active command
  std::uint64_t length_ = 0;
  bool active_ = false;
  bool error_ = false;
};

}  // namespace rw
