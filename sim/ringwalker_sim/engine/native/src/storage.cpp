#include "storage.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host.h"

namespace rw {

Storage::Storage(Board& board)
    : Peripheral(board), commands_(board), write_data_(board), read_data_(board), answers_(board) {}

void Storage::attach(Image&& image, bool read_only) {
  image_ = std::move(image);
  read_only_ = read_only;
  pins_.drive<port::capacity>(image_.size() / sector_bytes);
  pins_.drive<port::read_only>(read_only);
}

void Storage::capacity(std::uint64_t sectors) {
  pins_.drive<port::capacity>(sectors);
  pins_.clock(false);
}

void Storage::fail(std::uint64_t nth) { failures_.push_back(data_commands_ + nth); }

void Storage::transfer() {
  if (commands_.transfer()) command(commands_.payload());
  if (write_data_.transfer()) data(write_data_.payload());
  if (read_data_.transfer()) data_taken();
  if (answers_.transfer()) answered();
  tick();
}

void Storage::drive() {
  const Parameters& p = shared_.parameters;
  commands_.drive(queue_.size() < most_commands, p.stall_storage_commands);
  write_data_.drive(wants_data(), p.stall_storage_write_data);
  read_data_.drive(has_data(), p.stall_storage_read_data, [this]() -> const auto& { return beat_; });
  answers_.drive(!results_.empty(), p.stall_storage_results, [this] { return results_.front().error; });
}

bool Storage::calm() const {
  return !read_data_.valid() && !answers_.valid() && !active_ && queue_.empty() && results_.empty();
}

void Storage::reset() {
  commands_.reset();
  write_data_.reset();
  read_data_.reset();
  answers_.reset();
  queue_.clear();
  results_.clear();
  active_ = false;
}

void Storage::command(const Command& command) {
  const bool flush = static_cast<StorageOp>(command.op) == StorageOp::FLUSH;
  if (!flush && command.sectors == 0) shared_.violation("storage command without sectors");
  queue_.push_back({command, shared_.now + shared_.parameters.storage_latency, shared_.now});
}

void Storage::start() {
  head_ = queue_.front().command;
  due_ = queue_.front().due;
  taken_ = queue_.front().taken;
  queue_.pop_front();
  active_ = true;
  position_ = 0;
  const bool flush = op() == StorageOp::FLUSH;
  length_ = flush ? 0 : std::uint64_t{head_.sectors} * sector_bytes;
  const std::uint64_t sectors = image_.size() / sector_bytes;
  const bool inside = head_.sector <= sectors && head_.sectors <= sectors - head_.sector;
  error_ = !flush && (!inside || (op() == StorageOp::WRITE && read_only_));
  if (flush) {
    if (image_.size() != 0 && !read_only_) judge(0, image_.flush());
  } else {
    const auto planned = std::find(failures_.begin(), failures_.end(), data_commands_++);
    if (planned != failures_.end()) {
      failures_.erase(planned);
      error_ = true;
    }
  }
  Stats& stats = shared_.stats;
  ++(flush ? stats.storage_flushes : op() == StorageOp::READ ? stats.storage_reads : stats.storage_writes);
  if (has_data()) cut();
}

void Storage::cut() {
  if (!error_ && position_ % window_bytes == 0) {
    const std::uint64_t offset = window_offset(position_);
    judge(offset, image_.read(offset, window_.data(), std::min(window_bytes, length_ - position_)));
  }
  if (error_) {
    beat_.data.fill(0);
  } else {
    std::memcpy(beat_.data.data(), in_window(), beat_bytes);
  }
  beat_.last = position_ + beat_bytes >= length_;
}

void Storage::data(const port::storage_write_data::Payload& beat) {
  std::memcpy(in_window(), beat.data.data(), beat_bytes);
  position_ += beat_bytes;
  const bool last = position_ >= length_;
  if (!error_ && (last || position_ % window_bytes == 0)) {
    const std::uint64_t offset = window_offset(position_ - 1);
    judge(offset, image_.write(offset, window_.data(), head_.sector * sector_bytes + position_ - offset));
  }
  if (beat.last != last) shared_.violation("storage_write_data: last is %d, not %d", beat.last, last);
}

void Storage::answered() {
  TimelineEvent& event = results_.front().event;
  event.end = shared_.now;
  shared_.timeline.add(TimelineKind::STORAGE, event);
  results_.pop_front();
}

void Storage::data_taken() {
  position_ += beat_bytes;
  if (has_data()) cut();
}

void Storage::judge(std::uint64_t offset, int result) {
  if (result == 0) return;
  error_ = true;
  const std::pair failure{op(), result};
  if (std::find(reported_.begin(), reported_.end(), failure) != reported_.end()) return;
  reported_.push_back(failure);
  const auto number = static_cast<std::uint64_t>(result == Image::cut ? 0 : result);
  shared_.event(EventKind::DISK_FAILURE, static_cast<std::uint32_t>(op()), offset, number);
}

void Storage::tick() {
  if (active_ && position_ >= length_ && due_ <= shared_.now) {
    const auto op_code = static_cast<std::uint32_t>(op());
    const auto bytes = static_cast<std::uint32_t>(length_);
    results_.push_back({error_, {taken_, 0, head_.sector, 0, 0, op_code, bytes, 0, 0}});
    active_ = false;
  }
  if (active_ || queue_.empty()) return;
  const bool write = static_cast<StorageOp>(queue_.front().command.op) == StorageOp::WRITE;
  if (write || queue_.front().due <= shared_.now) start();
}

}  // namespace rw

extern "C" {

void rw_storage_attach(rw::Host* host, std::uint8_t* memory, std::uint64_t size, std::uint32_t read_only) noexcept {
  host->wake<rw::Storage>().attach(rw::Image(memory, size), read_only != 0);
}

void rw_storage_attach_file(rw::Host* host, std::uint32_t descriptor, std::uint64_t size,
                            std::uint32_t read_only) noexcept {
  host->wake<rw::Storage>().attach(rw::Image(static_cast<int>(descriptor), size), read_only != 0);
}

void rw_storage_capacity(rw::Host* host, std::uint64_t sectors) noexcept {
  host->wake<rw::Storage>().capacity(sectors);
}

void rw_storage_fail(rw::Host* host, std::uint64_t nth) noexcept { host->peripheral<rw::Storage>().fail(nth); }

}  // extern "C"
