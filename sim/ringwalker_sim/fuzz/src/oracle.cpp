#include "oracle.h"

#include <cinttypes>

namespace rw::fuzz {

void Oracle::arrived(const RequestPacket& packet) {
  const RequestHeader& h = packet.header;
  if (quiet_) findings_.add("quiet", "a request of kind %u at 0x%" PRIx64 " after a reset", static_cast<unsigned>(h.kind), h.address);
}

}  // namespace rw::fuzz
