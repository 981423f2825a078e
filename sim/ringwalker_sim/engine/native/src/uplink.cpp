#include "uplink.h"

#include <utility>

namespace rw {
namespace {

bool enough(std::uint64_t used, std::uint64_t more, std::uint64_t limit) { return limit == 0 || used + more <= limit; }

}  // namespace

Uplink::Uplink(const Parameters& p) : parameters_(p), link_(p.link_rate) {
  const bool credits = p.posted_header_credits != 0 || p.posted_data_credits != 0 || p.nonposted_header_credits != 0;
  direct_ = link_.unlimited() && !credits && p.tags == 0;
}

void Uplink::wait(Queue& queue, Packet&& packet, std::uint64_t bytes, std::uint64_t credits) {
  queue.push_back({std::move(packet), bytes, orders_++, credits});
  waiting_bytes_ += bytes;
}

void Uplink::put(const RequestPacket& packet, std::uint64_t bytes) {
  const std::uint64_t credits = (4 * packet.payload.size() + credit_bytes - 1) / credit_bytes;
  wait(is_posted(packet.header.kind) ? posted_ : nonposted_, packet, bytes, credits);
}

void Uplink::put(const CompletionPacket& packet, std::uint64_t bytes) { wait(completions_, packet, bytes, 0); }

bool Uplink::posted_may_leave() const {
  return !posted_.empty() && enough(posted_headers_, 1, parameters_.posted_header_credits) &&
         enough(posted_data_, posted_.front().credits, parameters_.posted_data_credits);
}

// Whether the packet in front of the queue came before all posted ones that wait: nothing overtakes those.
bool Uplink::before_posted(const Queue& queue) const {
  return !queue.empty() && (posted_.empty() || queue.front().order < posted_.front().order);
}

bool Uplink::read_may_leave(std::uint64_t reads) const {
  return before_posted(nonposted_) && enough(nonposted_headers_, 1, parameters_.nonposted_header_credits) &&
         enough(reads + reads_passing_, 1, parameters_.tags);
}

// The oldest that may leave; reads that wait are overtaken by all others.
Uplink::Queue* Uplink::choose(std::uint64_t reads) {
  const bool read = read_may_leave(reads);
  const bool completion = before_posted(completions_);
  if (read && completion) return nonposted_.front().order < completions_.front().order ? &nonposted_ : &completions_;
  if (read) return &nonposted_;
  if (completion) return &completions_;
  return posted_may_leave() ? &posted_ : nullptr;
}

void Uplink::spend(std::uint64_t now, const Queue& queue) {
  if (&queue == &completions_) return;
  const bool posted = &queue == &posted_;
  const Return used{now + parameters_.credit_return, posted, posted ? queue.front().credits : 0, !posted};
  posted_headers_ += used.posted_headers;
  posted_data_ += used.posted_data;
  nonposted_headers_ += used.nonposted_headers;
  reads_passing_ += !posted;
  returns_.push_back(used);
}

void Uplink::tick(std::uint64_t now, std::uint64_t reads) {
  while (!returns_.empty() && returns_.front().when <= now) {
    posted_headers_ -= returns_.front().posted_headers;
    posted_data_ -= returns_.front().posted_data;
    nonposted_headers_ -= returns_.front().nonposted_headers;
    returns_.pop_front();
  }
  while (waiting_bytes_ != 0 && link_.free(now)) {
    Queue* queue = choose(reads);
    if (queue == nullptr) return;
    spend(now, *queue);
    Waiting& head = queue->front();
    waiting_bytes_ -= head.bytes;
    const std::uint64_t end = link_.occupy(now, head.bytes);
    passing_.push_back({std::move(head.packet), now, end});
    queue->pop_front();
  }
}

bool Uplink::take(std::uint64_t now, Packet& out, std::uint64_t& begin) {
  if (passing_.empty() || passing_.front().end > now) return false;
  out = std::move(passing_.front().packet);
  begin = passing_.front().begin;
  passing_.pop_front();
  const auto* request = std::get_if<RequestPacket>(&out);
  reads_passing_ -= request != nullptr && !is_posted(request->header.kind);
  return true;
}

void Uplink::reset() {
  posted_.clear();
  nonposted_.clear();
  completions_.clear();
  passing_.clear();
  returns_.clear();
  waiting_bytes_ = posted_headers_ = posted_data_ = nonposted_headers_ = reads_passing_ = 0;
  link_.reset();
}

}  // namespace rw
