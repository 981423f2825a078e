// A guest's driver that keeps buffers in flight, with the same descriptors, addresses and bytes as the one in Python,
// in the same cycles. Python sets it up, looks at what has ended, and goes on where it stops. What is the same for
// every load is here; a class derived from Pump says what is added.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu.h"
#include "shared.h"
#include "split_ring.h"

namespace rw {

class Pump {
 public:
  // Goes on from what the driver has in flight. What setup points to lives until stop.
  Pump(Shared& shared, Cpu& cpu, PumpSetup& setup);
  virtual ~Pump() = default;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  // Whether a message is the interrupt of one of its queues; what was used is taken in service.
  bool takes(std::uint64_t address, std::uint64_t data);

  // After a cycle: whether there is something for service.
  bool woken() const { return !woken_.empty(); }

  // Takes what was used, adds more, and reports to Python if a batch or all of it has ended, or a ring makes no
  // sense.
  void service();

  // How many requests have ended since the last call.
  std::uint64_t take_done();

  // Leaves everything to Python, in the setup and what that points to.
  void stop();

 protected:
  // A request has ended, with so many bytes written: reports it, and frees what it held.
  virtual void ended(const SplitRing& ring, const PumpRequest& request, std::uint32_t written) = 0;

  // Adds what may be added now, and shows it.
  virtual void fill() = 0;

  // Leaves the rest of what the class has to Python.
  virtual void give_back() = 0;

  void add(SplitRing& ring, PumpRequest request, std::span<const SplitRing::Piece> pieces);

  // Shows the device what was added to a ring, and notifies it unless it suppresses that.
  void kick(SplitRing& ring);

  // Adds a row to those that Python looks at, with bytes from where there is something to look at.
  void report(const PumpRequest& request, std::uint32_t status, std::uint32_t written, const std::uint8_t* bytes);

  const PumpSetup& setup() const { return setup_; }
  const GuestBytes& memory() const { return memory_; }
  std::vector<SplitRing>& rings() { return rings_; }
  const std::vector<SplitRing>& rings() const { return rings_; }

 private:
  enum class State { STOPPED, RUNNING, FINISHED, LOST };

  bool take_used(SplitRing& ring);
  TimelineEvent ring_event(const SplitRing& ring, std::uint64_t number, std::uint32_t head, std::uint32_t bytes) const;

  Shared& shared_;
  Cpu& cpu_;
  const PumpSetup setup_;
  const GuestBytes memory_;
  State state_ = State::RUNNING;
  std::vector<SplitRing> rings_{};
  std::vector<SplitRing*> woken_{};
  std::uint64_t in_flight_ = 0;
  std::uint64_t done_ = 0;  // since Python looked
};

}  // namespace rw
