#include "peer_messages.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace rw {
namespace {

constexpr std::size_t most_bytes = sizeof(PeerAccess::data);  // of an access
constexpr std::size_t access_bytes = sizeof(PeerAccess) - most_bytes;

bool is_read(const PeerAccess& access) { return access.command == peer_region_read; }

const PeerWindow& window(const PeerSetup& setup, std::uint32_t region) {
  return reinterpret_cast<const PeerWindow*>(setup.windows_array)[region];
}

std::uint64_t address(const PeerSetup& setup, const PeerAccess& access) {
  return window(setup, access.region).address + access.offset;
}

}  // namespace

PeerMessages::Look PeerMessages::look() {
  const auto socket = static_cast<int>(setup_->socket);
  pollfd ready[] = {{socket, POLLIN, 0}, {static_cast<int>(setup_->stop), POLLIN, 0}};
  if (poll(ready, 2, 0) <= 0) return Look::NONE;
  if (ready[1].revents != 0) return Look::LEFT;
  PeerAccess access;
  iovec bytes{&access, sizeof access};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  const ssize_t count = recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
  // Without room for them, descriptors show as a truncation.
  const bool plain = count > 0 && (message.msg_flags & MSG_CTRUNC) == 0;
  if (!plain || !usual(access, static_cast<std::size_t>(count))) return Look::LEFT;
  if (is_read(access)) {
    setup_->read_ticket =
        cpu_.submit(RequestKind::MEMORY_READ, address(*setup_, access), access.count, 0, nullptr);
    return Look::READING;
  }
  const bool answered = (access.flags & peer_no_reply) == 0;
  if ((answered && !room()) || !take(access)) return Look::LEFT;
  cpu_.submit(RequestKind::MEMORY_WRITE, address(*setup_, access), access.count, 0,
              reinterpret_cast<const std::uint8_t*>(&access.data));
  ++setup_->bar_writes;
  if (answered) reply(access, 0);
  return Look::TAKEN;
}

// Whether the message, of which so many bytes have arrived, is whole, right, and not rare.
bool PeerMessages::usual(const PeerAccess& a, std::size_t bytes) const {
  const bool write = a.command == peer_region_write;
  if (bytes < access_bytes || a.error != 0 || a.region >= peer_bars || !(write || is_read(a))) return false;
  if (a.count == 0 || a.count > most_bytes || a.offset % most_bytes + a.count > most_bytes) return false;
  const std::size_t size = access_bytes + (write ? a.count : 0);
  if (a.size != size || bytes < size || (a.flags & ~(write ? peer_no_reply : 0)) != 0) return false;
  const std::uint64_t room = window(*setup_, a.region).size;
  return a.offset < room && a.count <= room - a.offset;
}

// Takes the message out of the socket, where it has been seen whole.
bool PeerMessages::take(PeerAccess& access) {
  const auto size = static_cast<ssize_t>(access.size);
  return recv(static_cast<int>(setup_->socket), &access, access.size, MSG_WAITALL) == size;
}

// Whether the socket takes an answer at once.
bool PeerMessages::room() const {
  pollfd socket{static_cast<int>(setup_->socket), POLLOUT, 0};
  return poll(&socket, 1, 0) > 0 && socket.revents == POLLOUT;
}

void PeerMessages::reply(PeerAccess& access, std::size_t data_bytes) {
  access.size = static_cast<std::uint32_t>(access_bytes + data_bytes);
  access.flags = peer_reply;
  const auto socket = static_cast<int>(setup_->socket);
  // After half an answer no other can follow; Python then finds that the peer has gone.
  if (send(socket, &access, access.size, MSG_DONTWAIT | MSG_NOSIGNAL) != static_cast<ssize_t>(access.size)) {
    shutdown(socket, SHUT_RDWR);
  }
}

bool PeerMessages::answer() {
  if (setup_->read_ticket == 0 || shared_.events.size() != 1) return false;
  const Event event = shared_.events.front();
  const bool completes = event.kind == static_cast<std::uint32_t>(EventKind::COMPLETION);
  if (!completes || event.a != setup_->read_ticket || !room()) return false;
  if (event.status == static_cast<std::uint32_t>(Outcome::TIMEOUT)) return false;  // Python says so
  PeerAccess access;
  access.size = access_bytes;
  if (!take(access)) return false;
  shared_.events.clear();
  shared_.stop = false;
  setup_->read_ticket = 0;
  ++setup_->bar_reads;
  access.data = event.status == static_cast<std::uint32_t>(Outcome::SUCCESS) ? event.b : ~std::uint64_t{0};
  reply(access, access.count);
  return true;
}

bool PeerMessages::fires(std::uint64_t address, std::uint64_t data) {
  if (setup_ == nullptr || !shared_.events.empty() || address != shared_.parameters.msi_first) return false;
  if (data >= setup_->vectors) return false;
  const int eventfd = reinterpret_cast<const std::int32_t*>(setup_->eventfds_array)[data];
  constexpr std::uint64_t one = 1;
  if (eventfd < 0) return false;
  // A counter that is full has an event already that the peer has not read.
  if (write(eventfd, &one, sizeof one) != sizeof one && errno != EAGAIN) return false;
  ++setup_->fired;
  return true;
}

}  // namespace rw
