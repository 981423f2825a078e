#include "reads.h"

#include <algorithm>
#include <utility>

#include "guarded.h"

namespace rw {
namespace {

constexpr std::uint16_t small_tags = 1 << 5;  // that every device has

}  // namespace

ReadServer::ReadServer(Shared& shared, MemoryMap& memory)
    : shared_(shared), memory_(memory), rng_(shared.parameters.seed ^ 0x72656164u) {}

void ReadServer::request(const RequestHeader& header) {
  if (in_flight_[header.tag]) shared_.violation("tag %u is used again while its read is in flight", header.tag);
  asked_[header.tag] = true;
  const Extent bytes = extent(header);
  Read read;
  read.header = header;
  read.position = header.address + bytes.offset;
  read.end = read.position + bytes.count;
  const Parameters& p = shared_.parameters;
  std::uint64_t time = shared_.now + p.latency + jitter();
  const Planned* fault = planned_fault();
  const auto is = [&](FaultKind kind) { return fault != nullptr && fault->kind == kind; };
  const bool apart = is(FaultKind::LOST) || is(FaultKind::LATE) || is(FaultKind::WRONG_TAG);
  if (!apart) {
    in_flight_[header.tag] = true;
    shared_.stats.most_reads_in_flight = std::max(shared_.stats.most_reads_in_flight, ++count_in_flight_);
    if (p.reorder == 0) time = latest_ = std::max(time, latest_);
  }
  if (fault != nullptr) {
    ++shared_.stats.injected_faults;
    if (fault->kind == FaultKind::LOST) return;
    if (fault->kind == FaultKind::LATE) time += fault->delay;
    if (fault->kind == FaultKind::UNSUPPORTED_REQUEST) read.status = CompletionStatus::UNSUPPORTED_REQUEST;
    if (fault->kind == FaultKind::COMPLETER_ABORT) read.status = CompletionStatus::COMPLETER_ABORT;
    read.poisoned = fault->kind == FaultKind::POISONED;
    if (fault->kind == FaultKind::WRONG_TAG) {
      read.header.tag ^= std::max<std::uint16_t>(1, static_cast<std::uint16_t>(fault->delay % small_tags));
    }
    read.spoilt = fault->kind;
  }
  std::size_t slot = slots_.size();
  if (unused_.empty()) {
    slots_.push_back(read);
  } else {
    slot = unused_.back();
    unused_.pop_back();
    slots_[slot] = read;
  }
  due_.push({time, order_++, slot});
}

// What comes on top of the latency, in cycles: uniform, or exponential with the jitter as its mean.
std::uint64_t ReadServer::jitter() {
  const Parameters& p = shared_.parameters;
  if (p.latency_shape == static_cast<std::uint64_t>(LatencyShape::UNIFORM)) return rng_.up_to(p.latency_jitter);
  if (p.latency_jitter == 0) return 0;
  constexpr double longest = 16.0;  // in means
  return static_cast<std::uint64_t>(static_cast<double>(p.latency_jitter) * std::min(longest, rng_.exponential()));
}

const ReadServer::Planned* ReadServer::planned_fault() {
  if (planned_.empty()) return nullptr;
  bool found = false;
  std::erase_if(planned_, [&](Planned& plan) {
    if (plan.countdown-- != 0 || found) return false;
    taken_ = plan;
    return found = true;
  });
  return found ? &taken_ : nullptr;
}

bool ReadServer::next(CompletionPacket& out) {
  if (next_stray(out)) return true;
  if (due_.empty() || due_.top().time > shared_.now) return false;
  const Due due = due_.top();
  due_.pop();
  Read& read = slots_[due.slot];
  const std::uint64_t length = read.end - read.position;
  const std::uint8_t* host = nullptr;
  if (read.status == CompletionStatus::SUCCESS) {
    host = find(read);
    if (host == nullptr && memory_.external(read.position, length, false)) {
      read.waiting = true;
      ++waiting_;
      shared_.event(EventKind::EXTERNAL_READ, static_cast<std::uint32_t>(due.slot), read.position, length);
      return false;
    }
    if (host == nullptr) {
      read.status = CompletionStatus::UNSUPPORTED_REQUEST;
      ++shared_.stats.read_faults;
      shared_.event(EventKind::FAULT, 0, read.position, length);
    }
  }
  std::uint64_t stop = host == nullptr ? read.end : cut(read);
  if (!fill(out, read, stop, host)) {
    read.status = CompletionStatus::UNSUPPORTED_REQUEST;
    ++shared_.stats.read_faults;
    shared_.event(EventKind::FAULT, fault_gone, read.position, length);
    stop = read.end;
    fill(out, read, stop, nullptr);
  }
  if (stop == read.end) {
    if (read.spoilt) spoil(out, *read.spoilt);
    unused_.push_back(due.slot);
    return true;
  }
  read.position = stop;
  if (shared_.parameters.reorder == 0) {
    due_.push(due);
  } else {
    due_.push({due.time + 1 + jitter(), order_++, due.slot});
  }
  return true;
}

const std::uint8_t* ReadServer::find(const Read& read) {
  const std::uint64_t length = read.end - read.position;
  if (!read.data.empty()) return read.data.data() + read.data.size() - length;
  return memory_.find(read.position, length, false);
}

bool ReadServer::answer(std::uint32_t number, const std::uint8_t* data, std::uint32_t length) {
  if (number >= slots_.size() || !slots_[number].waiting) return false;
  Read& read = slots_[number];
  if (data != nullptr && length != read.end - read.position) return false;
  read.waiting = false;
  --waiting_;
  if (data != nullptr) {
    read.data.assign(data, data + length);
  } else {
    read.status = CompletionStatus::UNSUPPORTED_REQUEST;
    ++shared_.stats.read_faults;
  }
  due_.push({shared_.now, order_++, number});
  return true;
}

// Where this completion of the read ends: at most the payload limit, at a boundary or at the end.
std::uint64_t ReadServer::cut(const Read& read) {
  const Parameters& p = shared_.parameters;
  const std::uint64_t boundary = p.read_completion_boundary;
  const std::uint64_t smallest = read.position / boundary * boundary + boundary;
  const std::uint64_t largest = ((read.position & ~std::uint64_t{3}) + p.max_payload) / boundary * boundary;
  std::uint64_t stop = largest;
  if (p.split == static_cast<std::uint64_t>(Split::SMALLEST)) stop = smallest;
  if (p.split == static_cast<std::uint64_t>(Split::RANDOM)) {
    stop = smallest + boundary * rng_.up_to((largest - smallest) / boundary);
  }
  return std::min(stop, read.end);
}

// The last completion of a read comes twice, is too long, or is followed by one with a tag that is not in use.
void ReadServer::spoil(CompletionPacket& out, FaultKind kind) {
  if (kind == FaultKind::OVERSIZED && out.header.has_data && out.header.length < max_length_dwords) {
    ++out.header.length;
    out.payload.push_back(0xdeadbeefu);
  }
  if (kind != FaultKind::DOUBLED && kind != FaultKind::UNEXPECTED) return;
  stray_.push_back({out, kind == FaultKind::UNEXPECTED});
}

// One is left out if its tag is in use by now, or if all tags are: the device could not know that it is none of its
// completions.
bool ReadServer::next_stray(CompletionPacket& out) {
  while (!stray_.empty()) {
    out = std::move(stray_.front().packet);
    const bool other_tag = stray_.front().other_tag;
    stray_.pop_front();
    const std::uint16_t tag = out.header.tag;
    if (other_tag) out.header.tag = unused_tag(tag);
    if (other_tag && out.header.tag == tag) continue;
    if (asked_[out.header.tag]) continue;
    return stray_passes_ = true;
  }
  return false;
}

// One that is not in use, and is not the other: that which was in use last, since a request that has not left the
// device yet has hardly this one. The other if all are in use.
std::uint16_t ReadServer::unused_tag(std::uint16_t other) const {
  std::uint16_t found = other;
  for (std::uint16_t tag = 0; tag < small_tags; ++tag) {
    if (asked_[tag] || tag == other) continue;
    if (found == other || answered_[tag] >= answered_[found]) found = tag;
  }
  return found;
}

// Makes the completion, with the bytes at host if there is one; false when its memory is gone.
bool ReadServer::fill(CompletionPacket& out, const Read& read, std::uint64_t stop, const std::uint8_t* host) {
  const RequestHeader& request = read.header;
  const bool with_data = host != nullptr;
  const auto skip = static_cast<std::uint32_t>(read.position % 4);
  const auto length = static_cast<std::uint32_t>(stop - read.position);
  CompletionHeader& h = out.header;
  h = {};
  h.status = read.status;
  h.has_data = with_data;
  h.byte_count = static_cast<std::uint16_t>(read.end - read.position);
  h.lower_address = static_cast<std::uint8_t>(read.position % lower_address_range);
  h.length = static_cast<std::uint16_t>(with_data ? (skip + length + 3) / 4 : 0);
  h.requester_id = request.requester_id;
  h.completer_id = static_cast<std::uint16_t>(shared_.parameters.root_id);
  h.tag = request.tag;
  h.attributes = request.attributes;
  h.poisoned = read.poisoned;
  out.payload.assign(h.length, 0xdeadbeefu);  // bytes that were not asked for hold anything
  if (!with_data) return true;
  memory_.note(read.position, length, false);
  return guarded_copy(reinterpret_cast<std::uint8_t*>(out.payload.data()) + skip, host, length);
}

void ReadServer::sent(const CompletionHeader& header, std::size_t dwords) {
  const std::uint32_t returned = 4 * static_cast<std::uint32_t>(dwords) - header.lower_address % 4;
  const bool final = header.status != CompletionStatus::SUCCESS || returned >= header.byte_count;
  if (std::exchange(stray_passes_, false) || !final) return;
  asked_[header.tag] = false;
  answered_[header.tag] = shared_.now;
  if (!in_flight_[header.tag]) return;
  in_flight_[header.tag] = false;
  --count_in_flight_;
}

void ReadServer::inject(FaultKind kind, std::uint64_t nth, std::uint64_t delay) {
  planned_.push_back({kind, nth, delay});
}

void ReadServer::reset() {
  due_ = {};
  stray_.clear();
  stray_passes_ = false;
  slots_.clear();
  unused_.clear();
  in_flight_.fill(false);
  asked_.fill(false);
  answered_.fill(0);
  count_in_flight_ = 0;
  waiting_ = 0;
}

}  // namespace rw
