// What a driver has told a device by its registers, as it can be seen on the link.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "fuzz_spec.h"
#include "packets.h"

namespace rw::fuzz {

// A queue as its registers are.
struct QueueRow {
  std::uint64_t size = 0;
  std::uint64_t desc = 0;
  std::uint64_t driver = 0;
  std::uint64_t device = 0;
  bool enabled = false;
  bool resetting = false;  // it was asked to be reset, and has not said that it is
};

// What writes to registers lead to.
class ShadowEvents {
 public:
  // A queue is enabled; ring_packed and the other features are those of this moment.
  virtual void enabled(unsigned queue, const QueueRow& row, std::uint64_t features) = 0;
  virtual void queue_reset(unsigned queue) = 0;
  // A device reset has been answered.
  virtual void device_reset() = 0;
  virtual void notified(unsigned queue, std::uint16_t place) = 0;

 protected:
  ~ShadowEvents() = default;
};

class Shadow {
 public:
  Shadow(const Settings& settings, ShadowEvents& events);

  void restarted();

  // A request goes to the device.
  void offered(const RequestPacket& packet);

  // The device has answered one.
  void arrived(const CompletionPacket& packet);

  // What the registers are cannot be known: the driver did not wait for a reset, moved a BAR, and the like. Ends with
  // a device reset that is waited for.
  bool vague() const { return vague_; }

  // DRIVER_OK was set, or a legacy driver has begun, since the last reset.
  bool started() const { return started_; }

  // Whether this is a message that the MSI-X table has, or has had since the last reset.
  bool is_vector(std::uint64_t address, std::uint32_t data) const { return messages_.contains({address, data}); }

  std::uint64_t features() const { return features_; }

 private:
  // A read of the driver in flight, and what it reads.
  struct Asked {
    bool known = false;
    Space space = Space::CONFIG;
    std::uint64_t offset = 0;
    unsigned queue = 0;
    unsigned enables = 0;
  };
  static constexpr std::uint64_t vector_bytes = 16;

  bool find(const RequestHeader& h, std::uint64_t address, Space& space, std::uint64_t& offset) const;
  void write_config(const RequestPacket& packet);
  void write_dword(Space space, std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_common(std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_legacy(std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_queue(std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_vector(std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_notify(std::uint64_t offset, std::uint32_t data, unsigned enables);
  void write_status(std::uint8_t value, bool old);
  void write_page(std::uint32_t page);
  void enable(unsigned queue);
  void clear();
  void touch();
  QueueRow* selected();

  const Settings settings_;
  ShadowEvents& events_;
  std::vector<QueueRow> rows_{};
  std::vector<std::uint8_t> vectors_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> messages_{};
  std::array<Asked, nonposted_requests> asked_{};
  std::uint64_t features_ = 0;
  std::uint32_t feature_select_ = 0;
  std::uint16_t select_ = 0;
  std::uint8_t status_ = 0;
  bool vague_ = false;
  bool started_ = false;
  bool resetting_ = false;
  bool disturbed_ = false;  // registers were written meanwhile; whether that counts nobody knows
  int face_ = -1;           // who has begun: 1 a legacy driver
};

}  // namespace rw::fuzz
