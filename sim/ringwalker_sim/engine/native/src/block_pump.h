// A guest's driver for a disk that keeps requests in flight: what guest/blk.py on split virtqueues and
// workload/block_pump.py do, with the same descriptors, addresses and bytes, in the same cycles. Python sets it
// up, looks at what has ended, and goes on where it stops.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cpu.h"
#include "shared.h"

namespace rw {

class BlockPump {
 public:
  explicit BlockPump(Shared& shared) : shared_(shared) {}

  // Goes on from what the driver has in flight. What setup points to lives until stop.
  void start(PumpSetup& setup);

  // Whether a message is the interrupt of one of its queues; what was used is taken in service.
  bool takes(std::uint64_t address, std::uint64_t data);

  // After a cycle: whether there is something for service.
  bool woken() const { return !woken_.empty(); }

  // Takes what was used, adds more, and tells Python if a batch or all of it has ended, or a ring makes no sense.
  void service(Cpu& cpu);

  // How many requests have ended since the last call.
  std::uint64_t take_done();

  // Leaves everything to Python, in the setup and what that points to.
  void stop();

 private:
  enum class State { STOPPED, RUNNING, FINISHED, LOST };

  struct Queue {
    PumpQueue* shared;
    std::deque<std::uint16_t> free;
    std::vector<std::uint16_t> slots;
    std::vector<PumpRequest> requests;
    unsigned unkicked;
  };

  std::uint8_t* at(std::uint64_t address) { return memory_ + (address - setup_.memory_address); }
  template <class Number>
  Number get(std::uint64_t address);
  template <class Number>
  void put(std::uint64_t address, Number value);

  bool used_pending(const Queue& queue);
  bool take_used(Queue& queue);
  void ended(Queue& queue, const PumpRequest& request, std::uint32_t written);
  void fill(Cpu& cpu);
  bool next_place();
  Queue* queue_with_room();
  void add(Queue& queue);
  void write_data(std::uint64_t buffer, const PumpOperation& operation);
  void kick(Queue& queue, Cpu& cpu);
  void tell();
  unsigned descriptors(const Queue& queue) const { return queue.shared->indirect != 0 ? 1 : 3; }
  const PumpOperation& operation(std::uint64_t number) const {
    return reinterpret_cast<const PumpOperation*>(setup_.operations_array)[number];
  }

  Shared& shared_;
  State state_ = State::STOPPED;
  PumpSetup* given_ = nullptr;
  PumpSetup setup_{};
  std::uint8_t* memory_ = nullptr;
  std::vector<Queue> queues_{};
  std::vector<std::uint64_t> buffers_{};
  std::unordered_map<std::uint64_t, std::uint32_t> busy_{};
  std::optional<std::uint64_t> place_{};  // of the next operation, once it is known
  std::uint64_t next_ = 0;                // operation
  std::uint64_t turn_ = 0;                // queue that is asked first
  std::uint64_t in_flight_ = 0;
  std::uint64_t done_ = 0;  // since Python looked
  std::vector<Queue*> woken_{};
};

}  // namespace rw
