#include "requests.h"

#include <algorithm>

namespace rw::fuzz {
namespace {

bool is_memory(RequestKind kind) { return kind == RequestKind::MEMORY_READ || kind == RequestKind::MEMORY_WRITE; }

bool rises(unsigned be) { return be == 0x8 || be == 0xc || be == 0xe || be == 0xf; }
bool falls(unsigned be) { return be == 0x1 || be == 0x3 || be == 0x7 || be == 0xf; }

// Ref: PCI Express Base 3.1, 2.2.5.
void make_enables_legal(RequestHeader& h) {
  if (h.length <= 1) {
    h.last_be = 0;
    return;
  }
  const bool quadword = h.length == 2 && h.address % 8 == 0 && h.first_be != 0 && h.last_be != 0;
  if (!quadword && !(rises(h.first_be) && falls(h.last_be))) h.first_be = h.last_be = 0xf;
}

}  // namespace

std::uint64_t address_of(const Settings& settings, Space space, std::uint64_t offset) {
  const Place& place = settings.places[static_cast<std::size_t>(space)];
  const std::uint64_t base = place.bar < bars ? settings.bar_places[place.bar].address : 0;
  return base + place.offset + offset;
}

RequestKind access_kind(const Settings& settings, Space space, bool write) {
  switch (settings.places[static_cast<std::size_t>(space)].way) {
    case 0: return write ? RequestKind::CONFIG_WRITE_0 : RequestKind::CONFIG_READ_0;
    case 2: return write ? RequestKind::IO_WRITE : RequestKind::IO_READ;
    default: return write ? RequestKind::MEMORY_WRITE : RequestKind::MEMORY_READ;
  }
}

std::uint32_t access_length(RequestKind kind, std::uint64_t address, std::uint32_t size) {
  const std::uint64_t limit = is_memory(kind) ? page_bytes : 4;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::max(size, 1u), limit - address % limit));
}

RequestPacket raw_request(const Settings& settings, const Record& r) {
  RequestPacket packet;
  RequestHeader& h = packet.header;
  h.kind = static_cast<RequestKind>(r.size % (static_cast<unsigned>(RequestKind::OTHER_NON_POSTED) + 1));
  const bool memory = is_memory(h.kind);
  const bool config = h.kind == RequestKind::CONFIG_READ_0 || h.kind == RequestKind::CONFIG_WRITE_0 ||
                      h.kind == RequestKind::CONFIG_READ_1 || h.kind == RequestKind::CONFIG_WRITE_1;
  h.address = address_of(settings, r.place(), r.address) & ~std::uint64_t{3};
  if (config) h.address &= page_bytes - 1;
  if (h.kind == RequestKind::IO_READ || h.kind == RequestKind::IO_WRITE) h.address &= 0xffffffffu;
  const std::uint64_t most_write = settings.max_payload / 4;
  const std::uint64_t most = h.kind == RequestKind::MEMORY_WRITE ? most_write : max_length_dwords;
  const std::uint64_t to_page = (page_bytes - h.address % page_bytes) / 4;
  const std::uint64_t wanted = std::max<std::uint64_t>(1, r.number & 0x7ff);
  h.length = static_cast<std::uint16_t>(memory ? std::min({wanted, most, to_page}) : 1);
  h.first_be = r.number >> 11 & 0xf;
  h.last_be = r.number >> 15 & 0xf;
  h.traffic_class = r.number >> 19 & 7;
  h.attributes = memory ? r.number >> 22 & 7 : 0;
  make_enables_legal(h);
  if (h.kind == RequestKind::MESSAGE) h = {.kind = h.kind, .first_be = h.first_be, .last_be = h.last_be};
  h.target_id = static_cast<std::uint16_t>(!config ? 0 : r.extra != 0 ? r.extra : settings.target_id);
  h.poisoned = is_write(h.kind) && (r.number >> 25 & 1) != 0;
  for (unsigned i = 0; i < payload_dwords(h); ++i) packet.payload.push_back(static_cast<std::uint32_t>(r.value >> 32 * (i % 2)));
  return packet;
}

}  // namespace rw::fuzz
