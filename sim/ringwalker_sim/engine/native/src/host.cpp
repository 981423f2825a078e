#include "host.h"
#include "tlp_capture.h"
#include "wire.h"

#include <algorithm>
#include <stdexcept>

namespace rw {

thread_local bool inputs_changed = true;

Host::Host(const Parameters& parameters, const char* trace)
    : shared_(parameters),
      up_(parameters),
      down_(parameters.link_rate),
      stalls_(parameters.seed ^ 0x7374616cu),
      pins_((context_.traceEverOn(trace != nullptr), context_)),
      skips_(parameters.skip_idle != 0 && trace == nullptr),
      peripherals_(Maker<Peripherals>::make(board_)) {
#if RW_CHANGES
  if (parameters.compare != 0) inspector_.compare(context_);
#endif
  if (trace == nullptr) return;
  waves_ = std::make_unique<Waves>(context_, pins_, trace);
  if (!waves_->open()) throw std::runtime_error("cannot write waves");
}

// The clock rises in the middle of the cycle that ends now.
void Host::edge() {
  const std::uint64_t period = shared_.parameters.period_ps;
  pins_.clock(true);
#if RW_CHANGES
  if (inspector_.active()) inspector_.edge();
#endif
  if (waves_) waves_->dump((shared_.now - 1) * period + period / 2);
}

// The clock falls.
void Host::settle() {
  pins_.clock(false);
  if (waves_) waves_->dump(shared_.now * shared_.parameters.period_ps);
}

void Host::reset(std::uint64_t cycles) {
  request_sink_.reset();
  completion_sink_.reset();
  request_source_.reset();
  completion_source_.reset();
  reads_.reset();
  cpu_.reset();
  memory_.reset();
  if (pump_) pump_->stop();
  up_.reset();
  down_.reset();
  each([](auto& peripheral) { peripheral.reset(); });
  calm_ = 0;
  if (shared_.now != 0) ++shared_.now;  // in waves the reset begins after the cycle that has settled
  device_id_ = -1;
  pins_.reset(true);
  settle();
  for (std::uint64_t i = 0; i < cycles; ++i) {
    ++shared_.now;
    edge();
    settle();
  }
  pins_.reset(false);
  ++shared_.now;
  edge();
  settle();
}

bool Host::calm() const {
  const auto all = [](const auto&... peripheral) { return (peripheral.calm() && ...); };
  return pins_.idle() && pins_.intx() == intx_ && !request_source_.busy() && !completion_source_.busy() &&
         std::apply(all, peripherals_) && reads_.quiet() && cpu_.quiet() && up_.empty();
}

std::uint32_t Host::run(std::uint64_t most_cycles, Event* out, std::uint32_t room, bool until_quiet) {
  const std::deque<Event>& events = shared_.events;
  shared_.stop = events.size() >= room;
  for (const Event& e : events) shared_.stop |= e.kind != static_cast<std::uint32_t>(EventKind::FAULT);
  pass(shared_.now + most_cycles, until_quiet);
  return take_events(out, room);
}

std::uint32_t Host::serve(std::uint64_t most_cycles, PeerSetup& setup, Event* out, std::uint32_t room) {
  using Look = PeerMessages::Look;
  shared_.stop = false;
  peer_.begin(setup);
  const std::uint64_t end = shared_.now + most_cycles;
  unsigned taken = 0;
  do {
    if (setup.read_ticket == 0) {
      const Look look = peer_.look();
      setup.left = look == Look::LEFT;
      if (look == Look::LEFT) break;
      if (look != Look::NONE) calm_ = 0;
      if (look == Look::TAKEN && ++taken % messages_at_once != 0) continue;
    }
    pass(std::min(end, shared_.now + look_cycles), true);
    if (shared_.stop && !peer_.answer()) break;
  } while (shared_.now < end && calm_ < settle_cycles);
  peer_.end();
  return take_events(out, room);
}

void Host::accompany(Companion& companion) {
  companion_ = &companion;
  for (;;) {
    const Companion::Turn turn = companion.turn();
    if (turn.cycles == 0) break;
    shared_.stop = false;
    pass(shared_.now + turn.cycles, turn.only_busy);
  }
  companion_ = nullptr;
}

bool Host::take(Event& event) {
  if (shared_.events.empty()) return false;
  event = shared_.events.front();
  shared_.events.pop_front();
  return true;
}

std::uint64_t Host::submit(const RequestPacket& packet) {
  calm_ = 0;
  return cpu_.submit(packet);
}

std::uint32_t Host::take_events(Event* out, std::uint32_t room) {
  std::deque<Event>& events = shared_.events;
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(room, events.size()));
  std::copy_n(events.begin(), count, out);
  events.erase(events.begin(), events.begin() + count);
  shared_.stats.cycles = shared_.now;
  return count;
}

// Time passes until something wants Python's attention.
void Host::pass(std::uint64_t end, bool until_quiet) {
  while (shared_.now < end && !shared_.stop) {
    cycle();
    calm_ = calm() ? calm_ + 1 : 0;
    if (pump_ && pump_->woken()) {
      pump_->service();
      if (!cpu_.quiet()) calm_ = 0;
    }
    if (calm_ < settle_cycles) continue;
    if (until_quiet) break;
    if (skips_ && !shared_.stop) skip(end);
  }
}

// Nothing changes before somebody asks for something: the cycles up to end pass unsimulated.
void Host::skip(std::uint64_t end) {
  shared_.stats.skipped_cycles += end - shared_.now;
  shared_.now = end;
}

// The clock is low and everything has settled: see what the coming edge transfers, and say what the inputs of
// the next cycle are, which the same edge brings to the device.
void Host::cycle() {
  transfer_requests();
  transfer_completions();
  const bool level = pins_.intx();
  if (level != intx_) {
    intx_ = level;
    sent_level(level);
  }
  transfer_uplink();
  each([](auto& peripheral) { peripheral.transfer(); });
  ++shared_.now;
  cpu_.tick();
  drive_requests();
  drive_completions();
  each([](auto& peripheral) { peripheral.drive(); });
  edge();
  settle();
}

void Host::transfer_requests() {
  if (request_sink_.transfer()) sent(request_sink_.packet());
  if (!request_source_.transfer()) return;
  count_down(request_source_.header());
  if (shared_.tlps.on()) capture_tlp(shared_, request_source_.packet(), false, request_begun_);
  if (shared_.timeline.on()) {
    const TimelineEvent event = wire_event(request_source_.packet(), request_begun_, shared_.now);
    shared_.timeline.add(TimelineKind::DOWN_REQUEST, event);
  }
}

void Host::transfer_completions() {
  if (completion_sink_.transfer()) sent(completion_sink_.packet());
  if (completion_source_.valid() && !completion_source_.accepted()) ++shared_.stats.completion_stalls;
  if (!completion_source_.transfer()) return;
  const CompletionHeader& header = completion_source_.header();
  const unsigned dwords = payload_dwords(header);
  reads_.sent(header, dwords);
  ++(header.has_data ? shared_.stats.down_completion_data : shared_.stats.down_completion);
  shared_.stats.down_bytes += completion_bytes + 4 * dwords;
  shared_.stats.down_payload += 4 * dwords;
  shared_.stats.answer_beats += beats_of(dwords);
  shared_.stats.dma_read_bytes += 4 * dwords;
  if (shared_.tlps.on()) capture_tlp(shared_, completion_source_.packet(), false, completion_begun_);
  if (shared_.timeline.on()) {
    const TimelineEvent event = wire_event(completion_source_.packet(), completion_begun_, shared_.now);
    shared_.timeline.add(TimelineKind::DOWN_COMPLETION, event);
  }
}

void Host::drive_requests() {
  const Parameters& p = shared_.parameters;
  request_sink_.drive(up_.ready(), p.stall_requester_request);
  if (!request_source_.busy() && down_.free(shared_.now)) {
    RequestPacket packet;
    if (cpu_.next(packet)) {
      const bool wide = packet.header.kind == RequestKind::MEMORY_READ || is_posted(packet.header.kind);
      down_.occupy(shared_.now, (wide ? request_64_bytes : request_32_bytes) + 4 * packet.payload.size());
      if (companion_) companion_->offered(packet);
      request_source_.start(std::move(packet));
      request_begun_ = shared_.now;
    }
  }
  request_source_.drive(p.stall_completer_request);
}

void Host::drive_completions() {
  const Parameters& p = shared_.parameters;
  completion_sink_.drive(up_.ready(), p.stall_completer_completion);
  if (!completion_source_.busy() && down_.free(shared_.now)) {
    CompletionPacket packet;
    if (reads_.next(packet)) {
      down_.occupy(shared_.now, completion_bytes + 4 * packet.payload.size());
      if (companion_) companion_->offered(packet);
      completion_source_.start(std::move(packet));
      completion_begun_ = shared_.now;
    }
  }
  completion_source_.drive(p.stall_requester_completion);
}

void Host::count_down(const RequestHeader& h) {
  Stats& stats = shared_.stats;
  const unsigned payload = 4 * payload_dwords(h);
  const bool wide = h.kind == RequestKind::MEMORY_READ || h.kind == RequestKind::MEMORY_WRITE;
  stats.down_bytes += (wide ? request_64_bytes : request_32_bytes) + payload;
  stats.down_payload += payload;
  switch (h.kind) {
    case RequestKind::MEMORY_READ: ++stats.down_memory_read; break;
    case RequestKind::MEMORY_WRITE: ++stats.down_memory_write; break;
    case RequestKind::IO_READ: ++stats.down_io_read; break;
    case RequestKind::IO_WRITE: ++stats.down_io_write; break;
    case RequestKind::CONFIG_READ_0: ++stats.down_config_read; break;
    case RequestKind::CONFIG_WRITE_0:
      ++stats.down_config_write;
      device_id_ = h.target_id;  // the device captures bus and device from every configuration write
      break;
    default: break;
  }
}

std::uint64_t Host::submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                           const std::uint8_t* data) {
  calm_ = 0;
  return cpu_.submit(kind, address, length, target_id, data);
}

void Host::trace(bool on) {
  if (!waves_) return;
  waves_->enable(on);
  if (!on) waves_->flush();
}

bool Host::trace_next(const char* path) {
  if (!waves_) return false;
  waves_->next(path);
  return waves_->open();
}

const char* Host::next_violation() { return shared_.take_violation(violation_) ? violation_.c_str() : nullptr; }

}  // namespace rw
