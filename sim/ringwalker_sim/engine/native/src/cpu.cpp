#include "cpu.h"

#include <algorithm>
#include <cstring>

#include "memory_map.h"

namespace rw {
namespace {

constexpr std::uint32_t event_bytes = 8;           // what fits into an event
constexpr std::uint64_t completion_boundary = 64;  // an endpoint may cut at every multiple of it

// Whether no completion follows this one.
bool ends(const CompletionHeader& h) {
  return !h.has_data || h.byte_count <= 4u * h.length - h.lower_address % 4u;
}

bool is_memory(RequestKind kind) { return kind == RequestKind::MEMORY_READ || kind == RequestKind::MEMORY_WRITE; }

}  // namespace

std::uint64_t Cpu::submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                          const std::uint8_t* data) {
  Waiting item;
  item.ticket = ++tickets_;
  item.offset = static_cast<std::uint32_t>(address % 4);
  item.length = length;
  RequestHeader& h = item.packet.header;
  h.kind = kind;
  h.address = address - item.offset;
  h.length = static_cast<std::uint16_t>((item.offset + length + 3) / 4);
  const unsigned from = 0xfu << item.offset & 0xfu;
  const unsigned to = 0xfu >> (4u * h.length - item.offset - length);
  h.first_be = static_cast<std::uint8_t>(h.length == 1 ? from & to : from);
  h.last_be = static_cast<std::uint8_t>(h.length == 1 ? 0 : to);
  h.requester_id = static_cast<std::uint16_t>(shared_.parameters.root_id);
  h.target_id = target_id;
  if (is_write(kind)) {
    item.packet.payload.resize(h.length);
    std::memcpy(reinterpret_cast<std::uint8_t*>(item.packet.payload.data()) + item.offset, data, length);
  }
  (is_posted(kind) ? posted_ : nonposted_).push_back(std::move(item));
  return tickets_;
}

std::uint64_t Cpu::submit(const RequestPacket& packet) {
  const Extent bytes = extent(packet.header);
  (is_posted(packet.header.kind) ? posted_ : nonposted_).push_back({packet, ++tickets_, bytes.offset, bytes.count, false});
  return tickets_;
}

bool Cpu::next(RequestPacket& out) {
  const bool first = !nonposted_.empty() && (posted_.empty() || nonposted_.front().ticket < posted_.front().ticket);
  if (first && next_nonposted(out)) return true;
  if (posted_.empty()) return false;
  out = std::move(posted_.front().packet);
  posted_.pop_front();
  return true;
}

bool Cpu::next_nonposted(RequestPacket& out) {
  const std::uint64_t deadline = shared_.now + shared_.parameters.completion_timeout;
  const auto free = [](const Pending& p) { return p.state == Pending::State::FREE; };
  const auto found = std::find_if(pending_.begin(), pending_.end(), free);
  if (found == pending_.end()) {
    if (blocked_deadline_ == never) blocked_deadline_ = deadline;
    earliest_deadline_ = std::min(earliest_deadline_, blocked_deadline_);
    return false;
  }
  Waiting& item = nonposted_.front();
  item.packet.header.tag = static_cast<std::uint16_t>(found - pending_.begin());
  *found = {Pending::State::BUSY, item.packet.header, item.ticket, deadline, item.offset, item.length, {}, item.kept};
  earliest_deadline_ = std::min(earliest_deadline_, deadline);
  blocked_deadline_ = never;
  out = std::move(item.packet);
  nonposted_.pop_front();
  return true;
}

// Whether the completion fits its request; what does not is reported.
bool Cpu::check(const Pending& p, const CompletionHeader& h) {
  if (h.requester_id != p.header.requester_id) {
    shared_.violation("completion with requester id %04x, not %04x", h.requester_id, p.header.requester_id);
  }
  if (h.status != CompletionStatus::SUCCESS) {
    if (h.has_data) shared_.violation("completion with status %u has data", static_cast<unsigned>(h.status));
    return !h.has_data;
  }
  const bool memory = is_memory(p.header.kind);
  const std::uint32_t got = static_cast<std::uint32_t>(p.data.size());
  const std::uint64_t at = p.header.address + p.offset + got;
  const std::uint32_t byte_count = memory ? p.length - got : 4;
  const std::uint32_t lower = memory ? at % lower_address_range : 0;
  if (h.has_data == is_write(p.header.kind)) {
    shared_.violation("completion of tag %u: has_data is %d", h.tag, h.has_data);
    return false;
  }
  if (h.byte_count != byte_count) {
    shared_.violation("completion of tag %u: byte count is %u, not %u", h.tag, h.byte_count, byte_count);
  }
  if (h.lower_address != lower) {
    shared_.violation("completion of tag %u: lower address is 0x%x, not 0x%x", h.tag, h.lower_address, lower);
  }
  if (!h.has_data) return true;
  if (4ull * h.length > shared_.parameters.max_payload) shared_.violation("completion of %u dwords", h.length);
  const std::uint64_t stop = at - at % 4 + 4ull * h.length;
  const std::uint64_t end = p.header.address + 4ull * p.header.length;
  if (h.length == 0 || stop > end || (stop != end && stop % completion_boundary != 0)) {
    shared_.violation("completion of tag %u: %u dwords are not a legal cut", h.tag, h.length);
    return false;
  }
  return true;
}

void Cpu::complete(const CompletionPacket& packet) {
  const CompletionHeader& h = packet.header;
  Pending* p = h.tag < pending_.size() ? &pending_[h.tag] : nullptr;
  if (p == nullptr || p->state == Pending::State::FREE) {
    shared_.violation("completion of tag %u, which has no request", h.tag);
    return;
  }
  if (p->state == Pending::State::LOST) {  // too late
    if (ends(h)) p->state = Pending::State::FREE;
    return;
  }
  if (!check(*p, h)) return finish(*p, Outcome::COMPLETER_ABORT);
  if (h.status != CompletionStatus::SUCCESS) return finish(*p, static_cast<Outcome>(h.status));
  if (h.poisoned) return finish(*p, Outcome::POISONED);
  const bool first = p->data.empty();
  const std::uint32_t skip = first ? p->offset : 0;
  const auto* source = reinterpret_cast<const std::uint8_t*>(packet.payload.data());
  const std::size_t room = p->length - p->data.size();
  const std::size_t count = h.has_data ? std::min<std::size_t>(4 * packet.payload.size() - skip, room) : 0;
  if (count != 0) p->data.insert(p->data.end(), source + skip, source + skip + count);
  if (!h.has_data || p->data.size() == p->length) finish(*p, Outcome::SUCCESS);
}

void Cpu::finish(Pending& p, Outcome outcome) {
  std::uint64_t value = 0;
  const bool read = !is_write(p.header.kind);
  if (read && outcome == Outcome::SUCCESS) {
    if (p.length <= event_bytes) {
      std::memcpy(&value, p.data.data(), p.data.size());
    } else if (p.kept) {
      answers_[p.ticket] = std::move(p.data);
    }
  }
  shared_.event(EventKind::COMPLETION, static_cast<std::uint32_t>(outcome), p.ticket, value);
  p.state = outcome == Outcome::TIMEOUT ? Pending::State::LOST : Pending::State::FREE;
  p.data.clear();
}

void Cpu::expire() {
  if (blocked_deadline_ <= shared_.now) {
    shared_.event(EventKind::COMPLETION, static_cast<std::uint32_t>(Outcome::TIMEOUT), nonposted_.front().ticket, 0);
    nonposted_.pop_front();
    blocked_deadline_ = never;
  }
  earliest_deadline_ = blocked_deadline_;
  for (Pending& p : pending_) {
    if (p.state != Pending::State::BUSY) continue;
    if (p.deadline <= shared_.now) {
      finish(p, Outcome::TIMEOUT);
    } else {
      earliest_deadline_ = std::min(earliest_deadline_, p.deadline);
    }
  }
}

bool Cpu::fetch(std::uint64_t ticket, std::uint8_t* out, std::uint32_t length) {
  const auto found = answers_.find(ticket);
  if (found == answers_.end() || found->second.size() != length) return false;
  std::copy(found->second.begin(), found->second.end(), out);
  answers_.erase(found);
  return true;
}

bool Cpu::quiet() const {
  const auto busy = [](const Pending& p) { return p.state == Pending::State::BUSY; };
  return posted_.empty() && nonposted_.empty() && std::none_of(pending_.begin(), pending_.end(), busy);
}

void Cpu::reset() {
  for (Pending& p : pending_) {
    if (p.state == Pending::State::BUSY) finish(p, Outcome::RESET);
    p.state = Pending::State::FREE;
  }
  for (const Waiting& item : nonposted_) {
    shared_.event(EventKind::COMPLETION, static_cast<std::uint32_t>(Outcome::RESET), item.ticket, 0);
  }
  posted_.clear();
  nonposted_.clear();
  answers_.clear();
  earliest_deadline_ = blocked_deadline_ = never;
}

}  // namespace rw
