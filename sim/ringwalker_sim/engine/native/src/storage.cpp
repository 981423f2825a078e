#include "storage.h"

#include <algorithm>
#include <cstring>

namespace rw {

void Storage::attach(std::uint8_t* image, std::uint64_t sectors, bool read_only) {
  image_ = image;
  sectors_ = sectors;
  read_only_ = read_only;
}

void Storage::fail(std::uint64_t nth) { failures_.push_back(data_commands_ + nth); }

void Storage::command(const StorageCommand& command) {
  const bool flush = command.op == StorageOp::FLUSH;
  if (!flush && command.sectors == 0) shared_.violation("storage command without sectors");
  queue_.push_back({command, shared_.now + shared_.parameters.storage_latency});
}

void Storage::start() {
  head_ = queue_.front().command;
  due_ = queue_.front().due;
  queue_.pop_front();
  active_ = true;
  position_ = 0;
  const bool flush = head_.op == StorageOp::FLUSH;
  length_ = flush ? 0 : std::uint64_t{head_.sectors} * sector_bytes;
  const bool inside = head_.sector <= sectors_ && head_.sectors <= sectors_ - head_.sector;
  error_ = !flush && (!inside || (head_.op == StorageOp::WRITE && read_only_));
  if (!flush) {
    const auto planned = std::find(failures_.begin(), failures_.end(), data_commands_++);
    if (planned != failures_.end()) {
      failures_.erase(planned);
      error_ = true;
    }
  }
  Stats& stats = shared_.stats;
  ++(flush ? stats.storage_flushes : head_.op == StorageOp::READ ? stats.storage_reads : stats.storage_writes);
  if (has_data()) cut();
}

void Storage::cut() {
  if (error_) {
    beat_.data.fill(0);
  } else {
    std::memcpy(beat_.data.data(), image_ + head_.sector * sector_bytes + position_, sizeof(BeatData));
  }
  beat_.last = position_ + sizeof(BeatData) >= length_;
}

void Storage::data(const StorageBeat& beat) {
  if (!error_) std::memcpy(image_ + head_.sector * sector_bytes + position_, beat.data.data(), sizeof(BeatData));
  position_ += sizeof(BeatData);
  const bool last = position_ >= length_;
  if (beat.last != last) shared_.violation("storage_write_data: last is %d, not %d", beat.last, last);
}

void Storage::data_taken() {
  position_ += sizeof(BeatData);
  if (has_data()) cut();
}

void Storage::tick() {
  if (active_ && position_ >= length_ && due_ <= shared_.now) {
    results_.push_back(error_);
    active_ = false;
  }
  if (active_ || queue_.empty()) return;
  if (queue_.front().command.op == StorageOp::WRITE || queue_.front().due <= shared_.now) start();
}

void Storage::reset() {
  queue_.clear();
  results_.clear();
  active_ = false;
}

}  // namespace rw
