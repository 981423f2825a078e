#include "request_rules.h"

#include <cinttypes>

namespace rw {
namespace {

bool rises(unsigned be) { return be == 0x8 || be == 0xc || be == 0xe || be == 0xf; }   // ends at byte 3
bool falls(unsigned be) { return be == 0x1 || be == 0x3 || be == 0x7 || be == 0xf; }   // starts at byte 0

bool byte_enables_legal(const RequestHeader& h) {
  if (h.length == 1) return h.last_be == 0;
  if (h.first_be == 0 || h.last_be == 0) return false;
  const bool quadword = h.length == 2 && h.address % 8 == 0;
  return quadword || (rises(h.first_be) && falls(h.last_be));
}

// What all requests have in common.
void check_sender(Shared& shared, const RequestHeader& h, const char* name, int requester_id) {
  if (requester_id >= 0 && h.requester_id != requester_id) {
    shared.violation("%s with requester id %04x, not %04x", name, h.requester_id, requester_id);
  }
  if (h.traffic_class != 0) shared.violation("%s in traffic class %u", name, h.traffic_class);
}

// A message of an error to the root complex. Ref: PCIe 3.1, 2.2.8.3.
void check_message(Shared& shared, const RequestHeader& h) {
  if (!is_error(message_code(h))) shared.violation("message with code 0x%02x is of no error", message_code(h));
  if (h.length != 0) shared.violation("message of an error with a length of %u dwords", h.length);
  if (h.address != 0 || h.attributes != 0 || h.poisoned) {
    shared.violation("message of an error with reserved fields: address 0x%" PRIx64 ", attributes %u, poisoned %u",
                     h.address, h.attributes, h.poisoned);
  }
}

}  // namespace

void check_request(Shared& shared, const RequestHeader& h, int requester_id) {
  if (h.kind == RequestKind::MESSAGE) {
    check_message(shared, h);
    return check_sender(shared, h, "message", requester_id);
  }
  const bool read = h.kind == RequestKind::MEMORY_READ;
  const char* name = read ? "read" : "write";
  if (!read && h.kind != RequestKind::MEMORY_WRITE) {
    shared.violation("request of kind %u: a device asks for memory only", static_cast<unsigned>(h.kind));
    return;
  }
  const std::uint64_t bytes = 4ull * h.length;
  const std::uint64_t limit = read ? shared.parameters.max_read_request : shared.parameters.max_payload;
  if (h.length == 0 || h.length > max_length_dwords) shared.violation("%s of %u dwords", name, h.length);
  if (bytes > limit) {
    shared.violation("%s of %" PRIu64 " bytes; the limit is %" PRIu64, name, bytes, limit);
  }
  if (h.address % 4 != 0) shared.violation("%s at 0x%" PRIx64 " is not at a dword", name, h.address);
  if (bytes != 0 && h.address / page_bytes != (h.address + bytes - 1) / page_bytes) {
    shared.violation("%s of %" PRIu64 " bytes at 0x%" PRIx64 " crosses 4 KiB", name, bytes, h.address);
  }
  if (!byte_enables_legal(h)) {
    shared.violation("%s of %u dwords at 0x%" PRIx64 " has byte enables 0x%x and 0x%x", name, h.length, h.address,
                     h.first_be, h.last_be);
  }
  check_sender(shared, h, name, requester_id);
}

}  // namespace rw
