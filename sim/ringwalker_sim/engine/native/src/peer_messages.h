// The usual messages of a vfio-user peer, carried out without Python: accesses of BARs, and the eventfds of MSI-X.
// What is unusual in any way is left in the socket for Python, which knows every message and every error.
// Ref: QEMU's docs/interop/vfio-user.rst.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu.h"
#include "shared.h"

namespace rw {

class PeerMessages {
 public:
  enum class Look {
    NONE,     // no message waits
    TAKEN,    // one was carried out
    READING,  // a read was submitted; its message stays in the socket until it is answered
    LEFT,     // one is Python's, or the server ends
  };

  PeerMessages(Shared& shared, Cpu& cpu) : shared_(shared), cpu_(cpu) {}

  // Messages are looked for in the socket of setup, and written to its eventfds, until end.
  void begin(PeerSetup& setup) { setup_ = &setup; }
  void end() { setup_ = nullptr; }

  // Carries out the next message, if one waits.
  Look look();

  // After an event: answers the read if nothing else has happened; false when the rest is Python's.
  bool answer();

  // Whether a message of the device was an interrupt that the peer was sent. Never before what happened earlier.
  bool fires(std::uint64_t address, std::uint64_t data);

 private:
  bool usual(const PeerAccess& access, std::size_t bytes) const;
  bool take(PeerAccess& access);
  bool room() const;
  void reply(PeerAccess& access, std::size_t data_bytes);

  Shared& shared_;
  Cpu& cpu_;
  PeerSetup* setup_ = nullptr;
};

}  // namespace rw
