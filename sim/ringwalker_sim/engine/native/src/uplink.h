// The way from the device's port to the host: a buffer, the link, and the credits that the host has given.
// Ref: PCI Express Base 3.1, 2.4.1 (ordering) and 2.6.1 (credits).
#pragma once

#include <cstdint>
#include <deque>
#include <variant>

#include "link.h"
#include "shared.h"
#include "packets.h"

namespace rw {

class Uplink {
 public:
  using Packet = std::variant<RequestPacket, CompletionPacket>;

  explicit Uplink(const Parameters& parameters);

  // Nothing limits it: packets need not go through here at all.
  bool direct() const { return direct_; }

  // Whether the port takes another beat.
  bool ready() const { return waiting_bytes_ < buffer_bytes; }

  bool empty() const { return waiting_bytes_ == 0 && passing_.empty(); }

  // A packet that the device has sent whole, and its bytes on the wire.
  void put(const RequestPacket& packet, std::uint64_t bytes);
  void put(const CompletionPacket& packet, std::uint64_t bytes);

  // Called every cycle: sends what may leave. reads is how many are in flight at the host.
  void tick(std::uint64_t now, std::uint64_t reads);

  // The next packet that has arrived at the host by cycle now, and when it got the link; false when there is none.
  bool take(std::uint64_t now, Packet& out, std::uint64_t& begin);

  void reset();

 private:
  static constexpr std::uint64_t buffer_bytes = 512;  // of packets that wait for the link in the device's port

  struct Waiting {
    Packet packet;
    std::uint64_t bytes;
    std::uint64_t order;
    std::uint64_t credits;  // for posted data
  };
  struct Passing {
    Packet packet;
    std::uint64_t begin;
    std::uint64_t end;
  };
  struct Return {
    std::uint64_t when;
    std::uint64_t posted_headers;
    std::uint64_t posted_data;
    std::uint64_t nonposted_headers;
  };
  using Queue = std::deque<Waiting>;

  void wait(Queue& queue, Packet&& packet, std::uint64_t bytes, std::uint64_t credits);
  Queue* choose(std::uint64_t reads);
  bool before_posted(const Queue& queue) const;
  bool posted_may_leave() const;
  bool read_may_leave(std::uint64_t reads) const;
  void spend(std::uint64_t now, const Queue& queue);

  Parameters parameters_;
  LinkModel link_;
  bool direct_;
  Queue posted_{};
  Queue nonposted_{};
  Queue completions_{};
  std::deque<Passing> passing_{};
  std::deque<Return> returns_{};
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t orders_ = 0;
  std::uint64_t posted_headers_ = 0;  // credits in use
  std::uint64_t posted_data_ = 0;
  std::uint64_t nonposted_headers_ = 0;
  std::uint64_t reads_passing_ = 0;
};

}  // namespace rw
