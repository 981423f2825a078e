// Rules for what a device does on the link, whatever its driver does. They know what has passed on the link, and nothing
// of the device.
#pragma once

#include <memory>
#include <vector>

#include "findings.h"
#include "fuzz_spec.h"
#include "packets.h"
#include "queue_rules.h"
#include "shadow.h"
#include "shown.h"

namespace rw::fuzz {

class Oracle final : private ShadowEvents {
 public:
  Oracle(const Settings& settings, Findings& findings) : settings_(settings), findings_(findings), shadow_(settings_, *this) {}
  virtual ~Oracle() = default;

  // Everything is as after power-up.
  void restarted();

  // What goes to the device.
  void offered(const RequestPacket& packet);
  void offered(const CompletionPacket& packet);

  // What the device has sent.
  void arrived(const RequestPacket& packet);
  void arrived(const CompletionPacket& packet) { shadow_.arrived(packet); }
  void arrived_level(bool level);

 private:
  void enabled(unsigned queue, const QueueRow& row, std::uint64_t features) override;
  void queue_reset(unsigned queue) override;
  void device_reset() override;
  void notified(unsigned queue, std::uint16_t place) override;

  void judge_read(const RequestHeader& header, const Range& range);
  void judge_write(const RequestPacket& packet, const Range& range);
  bool is_vector(const RequestPacket& packet) const;

  const Settings settings_;
  Findings& findings_;
  Shadow shadow_;
  Shown shown_{};
  Order order_ = 0;
  std::vector<std::unique_ptr<QueueRules>> queues_{};  // that have been enabled
  bool quiet_ = true;                                  // nobody has written anything since a reset
};

}  // namespace rw::fuzz
