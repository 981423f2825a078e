// Which memory the device can reach, and which of its accesses somebody wants to hear about.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "shared.h"
#include "packets.h"

namespace rw {

// The bytes from the first to the last enabled one of a request: offset into its first dword, and count.
struct Extent {
  std::uint32_t offset;
  std::uint32_t count;
};
Extent extent(const RequestHeader& header);

class MemoryMap {
 public:
  explicit MemoryMap(Shared& shared) : shared_(shared) {}

  // Makes size bytes at host visible at address. False when that overlaps what is there or wraps. Without
  // host the memory is external: reads and writes become events.
  bool map(std::uint64_t address, std::uint64_t size, std::uint8_t* host, bool writable);

  // Takes a region away that was mapped with this address; false when there is none.
  bool unmap(std::uint64_t address);

  // Host memory for length bytes at address, all in one region; null when it is not mapped or not writable.
  std::uint8_t* find(std::uint64_t address, std::uint64_t length, bool write);

  // Whether length bytes at address are external memory, readable or writable as asked.
  bool external(std::uint64_t address, std::uint64_t length, bool write) const;

  // Applies a memory write with its byte enables; what is not mapped, or gone, is counted and dropped.
  void write(const RequestPacket& packet);

  // The data of the oldest external write, once; false when there is none of that length.
  bool take_external(std::uint8_t* out, std::uint32_t length);

  // Forgets external writes that were not taken.
  void reset() { external_writes_.clear(); }

  void watch(std::uint32_t number, std::uint64_t address, std::uint64_t length, bool reads, bool writes);
  void clear_watches() { watches_.clear(); }

  // Reports an access to the watches it hits.
  void note(std::uint64_t address, std::uint64_t length, bool write);

 private:
  struct Region {
    std::uint64_t address;
    std::uint64_t size;
    std::uint8_t* host;
    bool writable;
  };
  struct Watch {
    std::uint32_t number;
    std::uint64_t address;
    std::uint64_t length;
    bool reads;
    bool writes;
  };

  bool put(const RequestPacket& packet, Extent bytes, std::uint8_t* host);
  void write_external(const RequestPacket& packet, Extent bytes);

  Shared& shared_;
  std::deque<std::vector<std::uint8_t>> external_writes_{};
  std::vector<Region> regions_{};  // the one used last is in front
  std::vector<Watch> watches_{};
};

}  // namespace rw
