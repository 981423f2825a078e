// What is behind a port of the device other than the link: a disk, a medium, a terminal. A class derived from
// Peripheral in a file of its own is all of it, with a row in engine/peripherals.py and its half in Python.
#pragma once

#include <tuple>

#include "pins.h"
#include "rng.h"
#include "shared.h"
#include "streams.h"

namespace rw {

// Every peripheral is made from the Board of its host and lives as long. The clock loop knows its class, so that
// no call is virtual where it counts.
class Peripheral {
 public:
  explicit Peripheral(Board& board) : shared_(board.shared), pins_(board.pins) {}
  virtual ~Peripheral() = default;
  Peripheral(const Peripheral&) = delete;
  Peripheral& operator=(const Peripheral&) = delete;

  // Before an edge: takes what the port offers and this side accepts; sees what the device takes.
  virtual void transfer() = 0;

  // Says what the port's inputs are after the edge.
  virtual void drive() = 0;

  // Nothing is in flight at the port, and nothing will be before somebody asks for it.
  virtual bool calm() const = 0;

  // The device is reset: nothing is offered or accepted, and what has begun has ended.
  virtual void reset() = 0;

 protected:
  Shared& shared_;
  Pins& pins_;
};

// All peripherals of a device, made where they are to stay.
template <class All>
struct Maker;
template <class... P>
struct Maker<std::tuple<P...>> {
  static std::tuple<P...> make([[maybe_unused]] Board& board) {
    return std::tuple<P...>((static_cast<void>(sizeof(P)), board)...);
  }
};

}  // namespace rw
