// Keeps block requests in flight: what guest/blk.py and workload/block_pump.py do.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "pump.h"

namespace rw {

class BlockPump final : public Pump {
 public:
  // What load points to lives until stop, too; it has a BlockQueue for each queue of setup.
  BlockPump(Shared& shared, Cpu& cpu, PumpSetup& setup, BlockLoad& load);

 private:
  void ended(const SplitRing& ring, const PumpRequest& request, std::uint32_t written) override;
  void fill() override;
  void give_back() override;

  bool next_place();
  SplitRing* ring_with_room();
  void add_next(SplitRing& ring);
  void write_data(std::uint64_t buffer, const PumpOperation& operation);
  std::size_t number_of(const SplitRing& ring) const { return static_cast<std::size_t>(&ring - rings().data()); }
  const PumpOperation& operation(std::uint64_t number) const {
    return reinterpret_cast<const PumpOperation*>(load_.operations_array)[number];
  }

  BlockLoad& given_;
  const BlockLoad load_;
  BlockQueue* const queues_;
  std::vector<std::vector<std::uint16_t>> slots_{};  // of each queue
  std::vector<std::uint64_t> buffers_{};
  std::unordered_map<std::uint64_t, std::uint32_t> busy_{};
  std::optional<std::uint64_t> place_{};  // of the next operation, once it is known
  std::uint64_t next_;                    // operation
  std::uint64_t turn_;                    // queue that is asked first
};

}  // namespace rw
