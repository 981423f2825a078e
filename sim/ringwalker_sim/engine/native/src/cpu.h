// The CPU's requests to the device. Posted writes stay in order, and no other request passes one; they pass others
// that have no credit. The device has nonposted_requests credits for these; one returns with the last completion.
#pragma once

#include <array>
#include <deque>
#include <unordered_map>
#include <vector>

#include "shared.h"
#include "packets.h"

namespace rw {

class Cpu {
 public:
  explicit Cpu(Shared& shared) : shared_(shared) {}

  // Queues an access of length bytes that does not cross 4 KiB (configuration and I/O: a dword). data is
  // what is written. Returns the ticket that its event will carry; posted writes have one without an event.
  std::uint64_t submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                       const std::uint8_t* data);

  // Queues a request with this header but for the tag. Its answer is checked, but nobody gets the data.
  std::uint64_t submit(const RequestPacket& packet);

  // The next request TLP; false when there is none, or none that has a credit.
  bool next(RequestPacket& out);

  // A completion TLP arrived from the device.
  void complete(const CompletionPacket& packet);

  // Called every cycle: gives up what took too long.
  void tick() {
    if (shared_.now >= earliest_deadline_) expire();
  }

  // The data of an answered read of more than 8 bytes, once; false when there is none of that size.
  bool fetch(std::uint64_t ticket, std::uint8_t* out, std::uint32_t length);

  // Nothing is queued and nothing waits for an answer.
  bool quiet() const;

  // Ends everything in flight.
  void reset();

 private:
  static constexpr std::uint64_t never = ~std::uint64_t{0};

  struct Waiting {
    RequestPacket packet{};
    std::uint64_t ticket = 0;
    std::uint32_t offset = 0;  // of the first byte in the first dword
    std::uint32_t length = 0;
    bool kept = true;  // the data of the answer
  };
  // LOST: it was given up, but the device may still hold it.
  struct Pending {
    enum class State { FREE, BUSY, LOST } state = State::FREE;
    RequestHeader header{};
    std::uint64_t ticket = 0;
    std::uint64_t deadline = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::vector<std::uint8_t> data{};
    bool kept = true;
  };

  bool next_nonposted(RequestPacket& out);
  void expire();
  void finish(Pending& pending, Outcome outcome);
  bool check(const Pending& pending, const CompletionHeader& header);

  Shared& shared_;
  std::deque<Waiting> posted_{};
  std::deque<Waiting> nonposted_{};
  std::array<Pending, nonposted_requests> pending_{};  // by tag
  std::unordered_map<std::uint64_t, std::vector<std::uint8_t>> answers_{};
  std::uint64_t tickets_ = 0;
  std::uint64_t blocked_deadline_ = never;  // of the front of nonposted_, which has no credit
  std::uint64_t earliest_deadline_ = never;
};

}  // namespace rw
