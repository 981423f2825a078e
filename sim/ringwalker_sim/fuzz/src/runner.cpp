#include "runner.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "requests.h"

namespace rw::fuzz {

void Runner::begin(std::span<const Record> records, std::size_t body, std::size_t recovery) {
  records_ = records;
  body_ = body;
  recovery_ = recovery;
  findings_.clear();
  findings_.operation = 0;
  fresh_ = true;
  end_ = now() + settings_.most_cycles;
  ticket_ = 0;
}

void Runner::take_events() {
  Event event;
  while (host_.take(event)) {
    const auto kind = static_cast<EventKind>(event.kind);
    std::string text;
    if (kind == EventKind::ERROR) {
      while (host_.take_violation(text)) findings_.add("link", "%s", text.c_str());
    }
    if (kind != EventKind::COMPLETION) continue;
    const auto outcome = static_cast<Outcome>(event.status);
    if (outcome == Outcome::TIMEOUT) findings_.add("answer", "a request of the host is not answered in time");
    if (event.a != ticket_) continue;
    ticket_ = 0;
    success_ = outcome == Outcome::SUCCESS;
    answer_ = event.b;
  }
}

Companion::Turn Runner::turn() {
  findings_.cycle = now();
  take_events();
  std::uint64_t& at = findings_.operation;
  if (at < records_.size() && now() > end_) {
    findings_.add("time", "the case takes too long");
    at = records_.size();
  }
  for (; at < records_.size(); ++at, fresh_ = true) {
    if (fresh_) start();
    if (!carry_out(records_[at])) return turn_;
  }
  return {0, false};
}

// The operation begins.
void Runner::start() {
  fresh_ = false;
  step_ = Step::BEGIN;
  began_ = now();
  if (findings_.operation == recovery_) host_.clear_faults();
}

bool Runner::carry_out(const Record& r) {
  switch (r.what()) {
    case Kind::WRITE: return access(r, true);
    case Kind::READ: return access(r, false);
    case Kind::TLP: return send(r);
    case Kind::MEMORY:
    case Kind::DESCRIPTOR:
    case Kind::PACKED: store(r); return true;
    case Kind::FILL: fill(r); return true;
    case Kind::NOTIFY: return notify(r);
    case Kind::WAIT: return now() >= began_ + r.number || wait_until(began_ + r.number);
    case Kind::SETTLE: return settle(r);
    case Kind::FAULT: host_.inject(static_cast<FaultKind>(r.size), r.number, r.value); return true;
    case Kind::RESET: return reset(r);
    case Kind::EXPECT_MEMORY: return expect_memory(r);
    case Kind::EXPECT_REGISTER: return expect_register(r);
  }
  return true;
}

bool Runner::wait_until(std::uint64_t cycle, bool only_busy) {
  turn_ = {std::max(cycle, now() + 1) - now(), only_busy};
  return false;
}

bool Runner::wait_answer(std::uint64_t ticket) {
  ticket_ = ticket;
  turn_ = {settings_.most_cycles, false};
  return false;
}

std::uint64_t Runner::submit(Space space, std::uint64_t offset, std::uint32_t size, const std::uint8_t* data) {
  const RequestKind kind = access_kind(settings_, space, data != nullptr);
  const std::uint64_t address = address_of(settings_, space, offset);
  const bool config = kind == RequestKind::CONFIG_READ_0 || kind == RequestKind::CONFIG_WRITE_0;
  const std::uint16_t target = config ? static_cast<std::uint16_t>(settings_.target_id) : 0;
  return host_.submit(kind, config ? address % page_bytes : address, access_length(kind, address, std::min(size, 8u)), target, data);
}

bool Runner::access(const Record& r, bool write) {
  if (step_ == Step::WAIT_ANSWER) return answered() || wait_answer(ticket_);
  std::uint8_t data[8];
  std::memcpy(data, &r.value, sizeof data);
  const std::uint64_t ticket = submit(r.place(), r.address, r.size, write ? data : nullptr);
  if (write && is_posted(access_kind(settings_, r.place(), true))) return true;
  step_ = Step::WAIT_ANSWER;
  return wait_answer(ticket);
}

bool Runner::send(const Record& r) {
  host_.submit(raw_request(settings_, r));
  return true;
}

bool Runner::notify(const Record& r) {
  if (step_ == Step::WAIT_ANSWER) return answered() || wait_answer(ticket_);
  std::uint8_t data[8];
  std::memcpy(data, &r.value, sizeof data);
  const bool old = settings_.legacy != 0;
  const Space space = old ? Space::LEGACY : Space::NOTIFY;
  const std::uint64_t offset = old ? legacy::queue_notify : settings_.notify_multiplier * r.number;
  const std::uint64_t ticket = submit(space, offset, r.value >> 16 != 0 && !old ? 4 : 2, data);
  if (is_posted(access_kind(settings_, space, true))) return true;
  step_ = Step::WAIT_ANSWER;
  return wait_answer(ticket);
}

bool Runner::settle(const Record& r) {
  if (step_ == Step::BEGIN) {
    step_ = Step::WAIT_TIME;
    return wait_until(began_ + 1);  // what was asked for in this cycle is on its way
  }
  return host_.at_rest() || now() >= began_ + r.number || wait_until(began_ + r.number, true);
}

bool Runner::reset(const Record& r) {
  switch (static_cast<Recovery>(r.size)) {
    case Recovery::STATUS: return reset_status(r);
    case Recovery::FUNCTION: return reset_function(r);
    case Recovery::HARDWARE: break;
  }
  host_.restart(reset_cycles);
  oracle_.restarted();
  return true;
}

bool Runner::reset_status(const Record& r) {
  const std::uint64_t offset = status_offset(r.place());
  if (step_ == Step::BEGIN) {
    const std::uint8_t zero[8]{};
    const std::uint64_t ticket = submit(r.place(), offset, 1, zero);
    if (!is_posted(access_kind(settings_, r.place(), true))) {
      step_ = Step::SECOND;
      return wait_answer(ticket);
    }
    step_ = Step::WAIT_ANSWER;
    return wait_answer(submit(r.place(), offset, 1, nullptr));
  }
  if (!answered()) return wait_answer(ticket_);
  if (step_ == Step::WAIT_ANSWER) {
    if (success_ && (answer_ & 0xff) == 0) {
      return true;
    }
    if (now() >= began_ + r.number) {
      findings_.add("reset", "the status is 0x%02" PRIx64 " %" PRIu64 " cycles after a 0 was written", answer_ & 0xff, now() - began_);
      return true;
    }
  }
  step_ = Step::WAIT_ANSWER;
  return wait_answer(submit(r.place(), offset, 1, nullptr));
}

bool Runner::reset_function(const Record& r) {
  if (step_ == Step::BEGIN) {
    const std::uint8_t data[8]{0, initiate_reset >> 8};
    step_ = Step::WAIT_ANSWER;
    return wait_answer(submit(Space::PCIE, pcie::device_control, 2, data));
  }
  if (step_ == Step::WAIT_ANSWER) {
    if (!answered()) return wait_answer(ticket_);
    step_ = Step::WAIT_TIME;
    look_ = now() + r.number;
  }
  return now() >= look_ || wait_until(look_);
}

// So many bytes of guest memory, which is seen at several addresses; null where they go over its end.
std::uint8_t* Runner::at(std::uint64_t address, std::uint64_t size) const {
  const std::uint64_t offset = address % settings_.memory_bytes;
  if (size > settings_.memory_bytes - offset) return nullptr;
  return reinterpret_cast<std::uint8_t*>(settings_.memory_array) + offset;
}

std::uint64_t Runner::memory(const Record& r) const {
  std::uint64_t value = 0;
  const std::uint64_t size = std::min<std::uint64_t>(r.size, 8);
  if (const std::uint8_t* bytes = at(r.address, size)) std::memcpy(&value, bytes, size);
  return value & r.extra;
}

void Runner::store(const Record& r) {
  const std::uint64_t size = std::min<std::uint64_t>(r.size, 16);
  if (std::uint8_t* bytes = at(r.address, size)) std::memcpy(bytes, &r.value, size);
}

void Runner::fill(const Record& r) {
  if (std::uint8_t* bytes = at(r.address, r.number)) std::memset(bytes, static_cast<int>(r.value & 0xff), r.number);
}

bool Runner::expect_memory(const Record& r) {
  awaits_memory_ = memory(r) != r.value && now() < began_ + r.number;
  if (memory(r) == r.value) return true;
  if (r.unless()) return watch_status(r);
  if (awaits_memory_) return wait_until(began_ + r.number);
  findings_.add("expected", "0x%" PRIx64 " at 0x%" PRIx64 " of memory, not 0x%" PRIx64, memory(r), r.address, r.value);
  return true;
}

bool Runner::expect_register(const Record& r) {
  if (step_ == Step::WAIT_STATUS) return watch_status(r);
  if (step_ == Step::WAIT_ANSWER) {
    if (!answered()) return wait_answer(ticket_);
    if (success_ && (answer_ & r.extra) == r.value) return true;
    if (now() >= began_ + r.number) {
      if (r.unless()) return watch_status(r);
      findings_.add("expected", "0x%" PRIx64 " in register 0x%" PRIx64 " of space %u, not 0x%" PRIx64, answer_ & r.extra, r.address,
                    static_cast<unsigned>(r.place()), r.value);
      return true;
    }
  }
  step_ = Step::WAIT_ANSWER;
  return wait_answer(submit(r.place(), r.address, r.size, nullptr));
}

// What is expected has not come yet: a device that shows that it is broken need not go on.
bool Runner::watch_status(const Record& r) {
  if (step_ != Step::WAIT_STATUS) {
    if (step_ == Step::BEGIN) {
      step_ = Step::WAIT_TIME;
      look_ = now() + look_cycles;
    }
    if (now() < look_ && now() < began_ + r.number) return wait_until(look_);
    step_ = Step::WAIT_STATUS;
    return wait_answer(submit(status_space(), status_offset(status_space()), 1, nullptr));
  }
  if (!answered()) return wait_answer(ticket_);
  if (success_ && (answer_ & status_device_needs_reset) != 0) return true;
  if (now() >= began_ + r.number) {
    findings_.add("expected", "what was to be at 0x%" PRIx64 " has not come, and the status is 0x%02" PRIx64, r.address, answer_ & 0xff);
    return true;
  }
  step_ = Step::BEGIN;
  return carry_out(r);
}

void Runner::offered(const RequestPacket& packet) {
  findings_.cycle = now();
  oracle_.offered(packet);
}

void Runner::offered(const CompletionPacket& packet) {
  findings_.cycle = now();
  oracle_.offered(packet);
}

void Runner::arrived(const RequestPacket& packet) {
  findings_.cycle = now();
  if (awaits_memory_ && packet.header.kind == RequestKind::MEMORY_WRITE) host_.wake();
  oracle_.arrived(packet);
}

void Runner::arrived(const CompletionPacket& packet) {
  findings_.cycle = now();
  oracle_.arrived(packet);
}

void Runner::arrived_level(bool level) { oracle_.arrived_level(level); }

}  // namespace rw::fuzz
