// The face to ctypes of the medium behind the MAC port.
#include <cstring>

#include "host.h"

using rw::Host;

extern "C" {

// 0 when the frame is lost. length is not 0.
std::uint32_t rw_mac_send(Host* host, const std::uint8_t* frame, std::uint32_t length, std::uint64_t due,
                          std::uint32_t error) noexcept {
  return host->send(rw::Bytes(frame, frame + length), due, error != 0);
}

// The length of the oldest frame of the device, and when it was complete; 0 when there is none.
std::uint32_t rw_mac_next(Host* host, std::uint64_t* time) noexcept {
  const rw::Bytes* frame = host->mac().front();
  if (frame == nullptr) return 0;
  *time = host->mac().front_time();
  return static_cast<std::uint32_t>(frame->size());
}

// Moves that frame to out, which has room for it.
void rw_mac_fetch(Host* host, std::uint8_t* out) noexcept {
  const rw::Bytes& frame = *host->mac().front();
  std::memcpy(out, frame.data(), frame.size());
  host->mac().pop();
}

// Frames for the device: rows of length bytes, in turn. The rows stay where they are until all are gone.
void rw_mac_supply(Host* host, const std::uint8_t* rows, std::uint64_t length, std::uint64_t count,
                   std::uint64_t frames) noexcept {
  host->supply({rows, length, count, 0}, frames);
}

// What frames of the device are compared with; count 0 ends that.
void rw_mac_expect(Host* host, const std::uint8_t* rows, std::uint64_t length, std::uint64_t count) noexcept {
  host->mac().expect({rows, length, count, 0});
}

void rw_mac_loopback(Host* host, std::uint32_t on) noexcept { host->mac().loopback(on != 0); }

void rw_mac_link(Host* host, std::uint32_t up) noexcept { host->link(up != 0); }

}  // extern "C"
