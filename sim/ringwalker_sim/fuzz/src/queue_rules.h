// The rules of one queue that has been enabled, whatever its ring.
#pragma once

#include <cstdint>
#include <span>

#include "findings.h"
#include "shown.h"

namespace rw::fuzz {

struct QueueAreas {
  unsigned number;
  std::uint64_t size;
  std::uint64_t desc;
  std::uint64_t driver;
  std::uint64_t device;
  bool indirect;
  bool in_order;
};

class QueueRules {
 public:
  QueueRules(const QueueAreas& areas, Findings& findings) : areas_(areas), findings_(findings) {}
  virtual ~QueueRules() = default;
  QueueRules(const QueueRules&) = delete;
  QueueRules& operator=(const QueueRules&) = delete;

  const QueueAreas& areas() const { return areas_; }

  // The device was shown something, which may be this queue's.
  virtual void take(const Shown& shown, const Piece& piece) = 0;

  // A notification carried a place in the ring.
  virtual void carried(std::uint16_t place, Order order) = 0;

  // Whether this queue grants a read.
  virtual bool may_read(const Range& range) = 0;

  // Whether a buffer of this queue grants a write, whose bytes then count as written.
  virtual bool fills(const Range& range) = 0;

  // Where the device says what it has used.
  virtual const Range& used_area() const = 0;

  // Whether the queue's ring or events grant a write, which then is judged. other: a buffer, or the ring of another
  // queue, grants it as well, so nobody can tell what it is, and what this ring says is not judged any more.
  virtual bool write(std::uint64_t address, std::span<const std::uint8_t> bytes, bool other) = 0;

 protected:
  Findings& findings() { return findings_; }

 private:
  const QueueAreas areas_;
  Findings& findings_;
};

// Bytes that a device has written into an area, until somebody takes them.
class WrittenBytes {
 public:
  explicit WrittenBytes(Range area) : area_(area), bytes_(area.size), written_(area.size) {}

  const Range& area() const { return area_; }
  void put(std::uint64_t address, std::span<const std::uint8_t> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes_[address - area_.begin + i] = bytes[i];
      written_[address - area_.begin + i] = true;
    }
  }
  bool has(std::size_t offset, std::size_t size) const {
    for (std::size_t i = 0; i < size; ++i) {
      if (!written_[offset + i]) return false;
    }
    return true;
  }
  std::uint64_t number(std::size_t offset, std::size_t size) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(bytes_[offset + i]) << 8 * i;
    return value;
  }
  void drop(std::size_t offset, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) written_[offset + i] = false;
  }

 private:
  Range area_;
  std::vector<std::uint8_t> bytes_;
  std::vector<bool> written_;
};

}  // namespace rw::fuzz
