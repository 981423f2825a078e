// Rules for what a device does on the link, whatever its driver does. It knows what has passed on the link, and
// nothing of the device.
#pragma once

#include "findings.h"
#include "fuzz_spec.h"
#include "packets.h"

namespace rw::fuzz {

class Oracle {
 public:
  Oracle(const Settings&, Findings& findings) : findings_(findings) {}

  // The hostile part of a case.
  void body_begins() {}
  void body_ends() {}

  // Everything is as after power-up.
  void restarted() { quiet_ = true; }

  // A device reset has been answered: the device is quiet until somebody writes to it.
  void reset_answered() { quiet_ = true; }

  // What goes to the device.
  void offered(const RequestPacket& packet) { quiet_ = quiet_ && !is_write(packet.header.kind); }
  void offered(const CompletionPacket&) {}

  // What the device has sent.
  void arrived(const RequestPacket& packet);
  void arrived(const CompletionPacket&) {}
  void arrived_level(bool) {}

 private:
  Findings& findings_;
  bool quiet_ = true;
};

}  // namespace rw::fuzz
