// The root complex around the model: one call is one clock cycle.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "companion.h"
#include "cpu.h"
#if RW_CHANGES
#include "inspector.h"
#endif
#include "link.h"
#include "memory_map.h"
#include "peer_messages.h"
#include "peripherals.h"
#include "pins.h"
#include "pump.h"
#include "reads.h"
#include "rng.h"
#include "shared.h"
#include "streams.h"
#include "uplink.h"
#include "waves.h"

namespace rw {

class Host final : private CompanionHost {
 public:
  // trace is the FST file to write, or null. Throws std::runtime_error when it cannot be written.
  Host(const Parameters& parameters, const char* trace);

  // Holds the reset for so many cycles; drops everything in flight on both sides.
  void reset(std::uint64_t cycles);

  // Runs until an event or so many cycles have gone, or until all is quiet if that is asked for; gives the
  // number of events in out.
  std::uint32_t run(std::uint64_t most_cycles, Event* out, std::uint32_t room, bool until_quiet = false);

  // Like run until all is quiet, with the usual messages of the peer in setup carried out meanwhile. It also ends
  // when a message is Python's. No event is left from before.
  std::uint32_t serve(std::uint64_t most_cycles, PeerSetup& setup, Event* out, std::uint32_t room);

  // Lets companion work until it ends. No event is left from before, and the link has no limits.
  void accompany(Companion& companion);
  CompanionHost& for_companion() { return *this; }

  // Nothing is in flight on either side, and nothing will happen before somebody asks for it. Known only
  // after a run. Never true for a model that has no port idle.
  bool quiet() const { return calm_ >= settle_cycles && shared_.events.empty(); }

  std::uint64_t submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                       const std::uint8_t* data) override;
  // What is behind one of the device's ports; wake is for whoever changes what it will do.
  template <class P>
  P& peripheral() {
    return std::get<P>(peripherals_);
  }
  template <class P>
  P& wake() {
    calm_ = 0;
    return std::get<P>(peripherals_);
  }
  // A driver in C++ goes on in place of Python's, or, once it has stopped, of another one.
  template <class P, class Load>
  void start_pump(PumpSetup& setup, Load& load) {
    pump_ = std::make_unique<P>(shared_, cpu_, setup, load);
  }
  Pump* pump() { return pump_.get(); }
  void trace(bool on);
  bool trace_next(const char* path);
  const char* next_violation();

  Shared& shared() { return shared_; }
  Capture& capture(bool tlps) { return tlps ? shared_.tlps : shared_.frames; }
  MemoryMap& memory() { return memory_; }
  ReadServer& reads() { return reads_; }
  Cpu& cpu() { return cpu_; }
  Root* root() { return pins_.model().rootp; }
#if RW_CHANGES
  Inspector& inspector() { return inspector_; }
  Chunks* chunks() { return pins_.chunks(); }
#endif

 private:
  // Cycles in a row in which the device says that it is idle: more than an item takes from one of its blocks
  // to the next.
  static constexpr unsigned settle_cycles = 8;

  // Cycles between two looks for messages of a peer.
  static constexpr std::uint64_t look_cycles = 128;

  // Messages of a peer that are taken before time has to pass.
  static constexpr unsigned messages_at_once = 256;

  const Shared& now() const override { return shared_; }
  std::uint64_t submit(const RequestPacket& packet) override;
  void inject(FaultKind kind, std::uint64_t nth, std::uint64_t delay) override { reads_.inject(kind, nth, delay); }
  void clear_faults() override { reads_.clear_faults(); }
  void restart(std::uint64_t cycles) override { reset(cycles); }
  bool take(Event& event) override;
  bool take_violation(std::string& text) override { return shared_.take_violation(text); }
  void wake() override { shared_.stop = true; }
  bool at_rest() const override { return calm_ >= settle_cycles; }

  void pass(std::uint64_t end, bool until_quiet);
  std::uint32_t take_events(Event* out, std::uint32_t room);
  void cycle();
  void skip(std::uint64_t end);
  bool calm() const;
  void transfer_requests();
  void transfer_completions();
  void transfer_uplink();
  void drive_requests();
  void drive_completions();
  template <class Visit>
  void each(Visit&& visit) {
    std::apply([&](auto&... peripheral) { (visit(peripheral), ...); }, peripherals_);
  }
  bool is_message(const RequestHeader& header) const {
    const Parameters& p = shared_.parameters;
    return header.kind == RequestKind::MEMORY_WRITE && header.address >= p.msi_first && header.address <= p.msi_last;
  }
  void sent(const RequestPacket& packet);
  void sent(const CompletionPacket& packet);
  void sent_level(bool level);
  // begin is when the packet got the link.
  void arrived(const RequestPacket& packet, std::uint64_t begin);
  void arrived(const CompletionPacket& packet, std::uint64_t begin);
  void count_down(const RequestHeader& header);
  void edge();
  void settle();

  Shared shared_;
  MemoryMap memory_{shared_};
  ReadServer reads_{shared_, memory_};
  Cpu cpu_{shared_};
  std::unique_ptr<Pump> pump_{};
  Companion* companion_ = nullptr;
  PeerMessages peer_{shared_, cpu_};
  Uplink up_;
  LinkModel down_;
  Rng stalls_;
  VerilatedContext context_{};
  Pins pins_;
#if RW_CHANGES
  Inspector inspector_{shared_, pins_};
#endif
  const bool skips_;  // idle cycles are not simulated
  std::unique_ptr<Waves> waves_{};
  std::string violation_{};

  Board board_{shared_, pins_, stalls_};
  PacketSink<port::requester_request> request_sink_{board_};
  PacketSink<port::completer_completion> completion_sink_{board_};
  PacketSource<port::completer_request> request_source_{board_};
  PacketSource<port::requester_completion> completion_source_{board_};
  Peripherals peripherals_;
  bool intx_ = false;
  unsigned calm_ = 0;
  std::uint64_t request_begun_ = 0;  // when the packets at the device's ports got the link
  std::uint64_t completion_begun_ = 0;
  int device_id_ = -1;
};

}  // namespace rw
