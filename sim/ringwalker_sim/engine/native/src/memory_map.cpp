#include "memory_map.h"

#include <algorithm>
#include <bit>

#include "guarded.h"

namespace rw {
namespace {

// Whether byte i of a write's payload is to be written.
bool enabled(const RequestHeader& header, std::uint32_t i) {
  const bool in_last = header.length > 1 && i >= 4u * (header.length - 1u);
  const unsigned enables = i < 4 ? header.first_be : in_last ? header.last_be : 0xfu;
  return (enables >> (i % 4) & 1) != 0;
}

}  // namespace

Extent extent(const RequestHeader& header) {
  const unsigned first = header.first_be;
  const unsigned last = header.length == 1 ? first : header.last_be;
  if (first == 0 || last == 0) return {0, 1};  // a read of nothing still has a byte count of 1
  const auto low = static_cast<std::uint32_t>(std::countr_zero(first));
  const auto high = static_cast<std::uint32_t>(std::bit_width(last)) - 1;
  return {low, 4u * (header.length - 1u) + high + 1 - low};
}

bool MemoryMap::map(std::uint64_t address, std::uint64_t size, std::uint8_t* host, bool writable) {
  if (size == 0 || address + size - 1 < address) return false;
  const auto overlaps = [&](const Region& r) {
    return address <= r.address + (r.size - 1) && r.address <= address + (size - 1);
  };
  if (std::any_of(regions_.begin(), regions_.end(), overlaps)) return false;
  regions_.push_back({address, size, host, writable});
  return true;
}

bool MemoryMap::unmap(std::uint64_t address) {
  return std::erase_if(regions_, [&](const Region& r) { return r.address == address; }) != 0;
}

std::uint8_t* MemoryMap::find(std::uint64_t address, std::uint64_t length, bool write) {
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const Region& r = regions_[i];
    const std::uint64_t offset = address - r.address;
    if (address < r.address || offset >= r.size || length > r.size - offset) continue;
    if (r.host == nullptr || (write && !r.writable)) return nullptr;
    std::uint8_t* host = r.host + offset;
    if (i != 0) std::swap(regions_[0], regions_[i]);
    return host;
  }
  return nullptr;
}

void MemoryMap::write(const RequestPacket& packet) {
  const RequestHeader& header = packet.header;
  if (header.first_be == 0 && header.length == 1) return;
  const Extent bytes = extent(header);
  const std::uint64_t address = header.address + bytes.offset;
  std::uint8_t* host = find(address, bytes.count, true);
  if (host == nullptr && !header.poisoned && external(address, bytes.count, true)) {
    write_external(packet, bytes);
    return;
  }
  if (host == nullptr || header.poisoned) {
    ++shared_.stats.write_faults;
    shared_.event(EventKind::FAULT, fault_write, address, bytes.count);
    return;
  }
  note(address, bytes.count, true);
  if (put(packet, bytes, host)) return;
  ++shared_.stats.write_faults;
  shared_.event(EventKind::FAULT, fault_write | fault_gone, address, bytes.count);
}

// Writes the bytes that are enabled to host; false when its memory is gone.
bool MemoryMap::put(const RequestPacket& packet, Extent bytes, std::uint8_t* host) {
  const RequestHeader& header = packet.header;
  const auto* source = reinterpret_cast<const std::uint8_t*>(packet.payload.data());
  const auto contiguous = [](unsigned be) { return std::has_single_bit(be + (be & -be)); };
  const bool to_end = header.length == 1 || ((header.first_be & 8) != 0 && (header.last_be & 1) != 0);
  const bool plain = to_end && contiguous(header.first_be) && (header.length == 1 || contiguous(header.last_be));
  if (plain) return guarded_copy(host, source + bytes.offset, bytes.count);
  for (std::uint32_t i = 0; i < 4u * header.length; ++i) {
    if (enabled(header, i) && !guarded_copy(host + (i - bytes.offset), source + i, 1)) return false;
  }
  return true;
}

bool MemoryMap::external(std::uint64_t address, std::uint64_t length, bool write) const {
  return std::any_of(regions_.begin(), regions_.end(), [&](const Region& r) {
    const std::uint64_t offset = address - r.address;
    const bool inside = address >= r.address && offset < r.size && length <= r.size - offset;
    return inside && r.host == nullptr && (r.writable || !write);
  });
}

// One event for each run of enabled bytes.
void MemoryMap::write_external(const RequestPacket& packet, Extent bytes) {
  const RequestHeader& header = packet.header;
  const auto* source = reinterpret_cast<const std::uint8_t*>(packet.payload.data());
  const std::uint32_t end = bytes.offset + bytes.count;
  for (std::uint32_t i = bytes.offset; i < end;) {
    std::uint32_t stop = i;
    while (stop < end && enabled(header, stop)) ++stop;
    if (stop != i) {
      external_writes_.emplace_back(source + i, source + stop);
      shared_.event(EventKind::EXTERNAL_WRITE, 0, header.address + i, stop - i);
    }
    i = stop + 1;
  }
}

bool MemoryMap::take_external(std::uint8_t* out, std::uint32_t length) {
  if (external_writes_.empty() || external_writes_.front().size() != length) return false;
  std::copy(external_writes_.front().begin(), external_writes_.front().end(), out);
  external_writes_.pop_front();
  return true;
}

void MemoryMap::watch(std::uint32_t number, std::uint64_t address, std::uint64_t length, bool reads, bool writes) {
  watches_.push_back({number, address, length, reads, writes});
}

void MemoryMap::note(std::uint64_t address, std::uint64_t length, bool write) {
  for (const Watch& w : watches_) {
    if (!(write ? w.writes : w.reads)) continue;
    if (address > w.address + (w.length - 1) || address + (length - 1) < w.address) continue;
    shared_.event(EventKind::WATCH, (w.number << 1) | (write ? 1u : 0u), address, length);
  }
}

}  // namespace rw
