// Somebody in another library who works on the link in place of Python, and sees what passes on it.
#pragma once

#include <cstdint>
#include <string>

#include "packets.h"
#include "shared.h"

namespace rw {

// What a companion can do. All of it lives as long as its host.
class CompanionHost {
 public:
  virtual const Shared& now() const = 0;

  // Queues an access, as Cpu::submit does; its ticket.
  virtual std::uint64_t submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                               const std::uint8_t* data) = 0;

  // Queues a request with this header but for the tag; its ticket. Nobody gets the data of its answer.
  virtual std::uint64_t submit(const RequestPacket& packet) = 0;

  virtual void inject(FaultKind kind, std::uint64_t nth, std::uint64_t delay) = 0;

  // No fault is left to be injected.
  virtual void clear_faults() = 0;

  // The reset of the clock domain for so many cycles.
  virtual void restart(std::uint64_t cycles) = 0;

  // The oldest event that nobody has taken; false when there is none.
  virtual bool take(Event& event) = 0;

  // The oldest complaint about the device; false when there is none.
  virtual bool take_violation(std::string& text) = 0;

  // The companion wants its turn after this cycle.
  virtual void wake() = 0;

  // Nothing is in flight on either side.
  virtual bool at_rest() const = 0;

 protected:
  ~CompanionHost() = default;
};

class Companion {
 public:
  // How many cycles may pass before it is asked again, if nothing happens before; 0 ends it. only_busy: or until
  // nothing is in flight.
  struct Turn {
    std::uint64_t cycles;
    bool only_busy;
  };
  virtual Turn turn() = 0;

  // What goes to the device, before its first beat is offered.
  virtual void offered(const RequestPacket& packet) = 0;
  virtual void offered(const CompletionPacket& packet) = 0;

  // What has come from the device.
  virtual void arrived(const RequestPacket& packet) = 0;
  virtual void arrived(const CompletionPacket& packet) = 0;
  virtual void arrived_level(bool level) = 0;

 protected:
  ~Companion() = default;
};

}  // namespace rw
