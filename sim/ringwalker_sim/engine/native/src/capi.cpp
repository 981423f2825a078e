// The face to ctypes, but for what is behind ports: plain functions on an opaque handle. Python checks arguments; lengths are in bytes.
#include <exception>

#include "block_pump.h"
#include "frame_pump.h"
#include "host.h"

using rw::Host;

extern "C" {

// Null when the trace file cannot be written.
Host* rw_open(const rw::Parameters* parameters, const char* trace) noexcept {
  try {
    return new Host(*parameters, trace);
  } catch (const std::exception&) {
    return nullptr;
  }
}

void rw_close(Host* host) noexcept { delete host; }

void rw_reset(Host* host, std::uint64_t cycles) noexcept { host->reset(cycles); }

std::uint32_t rw_run(Host* host, std::uint64_t cycles, rw::Event* out, std::uint32_t room) noexcept {
  return host->run(cycles, out, room);
}

std::uint32_t rw_run_until_quiet(Host* host, std::uint64_t cycles, rw::Event* out, std::uint32_t room) noexcept {
  return host->run(cycles, out, room, true);
}

std::uint32_t rw_serve(Host* host, std::uint64_t cycles, rw::PeerSetup* setup, rw::Event* out,
                       std::uint32_t room) noexcept {
  return host->serve(cycles, *setup, out, room);
}

std::uint32_t rw_quiet(Host* host) noexcept { return host->quiet(); }

std::uint64_t rw_now(Host* host) noexcept { return host->shared().now; }

void rw_stats(Host* host, rw::Stats* out) noexcept { *out = host->shared().stats; }

// The next complaint about the device, or null; the text lives until the next call.
const char* rw_violation(Host* host) noexcept { return host->next_violation(); }

std::uint64_t rw_submit(Host* host, std::uint32_t kind, std::uint64_t address, std::uint32_t length,
                        std::uint32_t target, const std::uint8_t* data) noexcept {
  const auto target_id = static_cast<std::uint16_t>(target);
  return host->submit(static_cast<rw::RequestKind>(kind), address, length, target_id, data);
}

std::uint32_t rw_fetch(Host* host, std::uint64_t ticket, std::uint8_t* out, std::uint32_t length) noexcept {
  return host->cpu().fetch(ticket, out, length);
}

std::uint32_t rw_map(Host* host, std::uint64_t address, std::uint64_t size, std::uint8_t* memory,
                     std::uint32_t writable) noexcept {
  return host->memory().map(address, size, memory, writable != 0);
}

std::uint32_t rw_map_external(Host* host, std::uint64_t address, std::uint64_t size, std::uint32_t writable) noexcept {
  return host->memory().map(address, size, nullptr, writable != 0);
}

// Null data: the read is refused. Zero when no read of that number and length waits.
std::uint32_t rw_external_answer(Host* host, std::uint32_t number, const std::uint8_t* data,
                                 std::uint32_t length) noexcept {
  return host->reads().answer(number, data, length);
}

// The data of the oldest external write that was not fetched yet.
std::uint32_t rw_external_write(Host* host, std::uint8_t* out, std::uint32_t length) noexcept {
  return host->memory().take_external(out, length);
}

std::uint32_t rw_unmap(Host* host, std::uint64_t address) noexcept { return host->memory().unmap(address); }

void rw_watch(Host* host, std::uint32_t number, std::uint64_t address, std::uint64_t length, std::uint32_t reads,
              std::uint32_t writes) noexcept {
  host->memory().watch(number, address, length, reads != 0, writes != 0);
}

void rw_clear_watches(Host* host) noexcept { host->memory().clear_watches(); }

void rw_inject(Host* host, std::uint32_t kind, std::uint64_t nth, std::uint64_t delay) noexcept {
  host->reads().inject(static_cast<rw::FaultKind>(kind), nth, delay);
}

void rw_trace(Host* host, std::uint32_t on) noexcept { host->trace(on != 0); }

// The structures and arrays of setup and load live until rw_pump_stop.
void rw_pump_blocks(Host* host, rw::PumpSetup* setup, rw::BlockLoad* load) noexcept {
  host->start_pump<rw::BlockPump>(*setup, *load);
}

void rw_pump_frames(Host* host, rw::PumpSetup* setup, rw::FrameLoad* load) noexcept {
  host->start_pump<rw::FramePump>(*setup, *load);
}

// These are for a pump that has started.
std::uint64_t rw_pump_done(Host* host) noexcept { return host->pump()->take_done(); }

void rw_pump_stop(Host* host) noexcept { host->pump()->stop(); }

// What a companion in another library works with; it lives as long as the host.
rw::CompanionHost* rw_companion_host(Host* host) noexcept { return &host->for_companion(); }

void rw_accompany(Host* host, rw::Companion* companion) noexcept { host->accompany(*companion); }

// Records so many events more of a timeline; 0 ends that.
void rw_timeline(Host* host, std::uint64_t most) noexcept { host->shared().timeline.record(most); }

std::uint64_t rw_timeline_size(Host* host) noexcept { return host->shared().timeline.size(); }

// Moves the events to out, which has room for as many as there are.
void rw_timeline_take(Host* host, rw::TimelineEvent* out) noexcept { host->shared().timeline.take(out); }

// Captures TLPs, or frames, from now on, or no more.
void rw_capture(Host* host, std::uint32_t tlps, std::uint32_t on) noexcept { host->capture(tlps != 0).record(on != 0); }

std::uint64_t rw_capture_size(Host* host, std::uint32_t tlps) noexcept { return host->capture(tlps != 0).size(); }

// Moves what was captured to out, which has room for as many bytes as there are.
void rw_capture_take(Host* host, std::uint32_t tlps, std::uint8_t* out) noexcept { host->capture(tlps != 0).take(out); }

// Completes the trace file and goes on in another; zero when that cannot be written.
std::uint32_t rw_trace_next(Host* host, const char* path) noexcept { return host->trace_next(path); }

}  // extern "C"
