// The rules of a packed ring. Ref: virtio 1.4, 2.8.
#pragma once

#include <vector>

#include "chains.h"
#include "queue_rules.h"

namespace rw::fuzz {

class PackedRules final : public QueueRules {
 public:
  PackedRules(const QueueAreas& areas, Findings& findings);

  void take(const Shown& shown, const Piece& piece) override { tables_.take(shown, piece); }
  void carried(std::uint16_t, Order) override {}
  bool may_read(const Range& range) override;
  bool fills(const Range& range) override;
  const Range& used_area() const override { return ring_.area(); }
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes, bool other) override;

 private:
  // A chain that is available: where it begins, and its first descriptor.
  struct Head {
    std::uint64_t position;
    const Version* version;
  };

  // What was written into one descriptor.
  struct Used {
    std::uint64_t position;
    unsigned flags;
    std::uint64_t length;
    std::uint64_t id;
    bool whole;  // with length and id
  };
  using Rows = std::vector<const Version*>;

  bool wrap(std::uint64_t position) const { return position / areas().size % 2 == 0; }
  // The place of the ring that a slot stands for: those before next_ are used.
  std::uint64_t position_of(std::size_t slot) const;
  bool available(const Version& version, std::uint64_t position) const;
  Rows rows(std::uint64_t position) const;
  std::vector<Head> heads() const;
  void visit_chain(const Head& head, const Tables::Visit& visit, std::vector<std::uint16_t>* ids) const;
  void judge_ring(std::uint64_t address, std::span<const std::uint8_t> bytes);
  Used take_used(std::size_t slot);
  void judge_used(const Used& used);
  std::uint64_t behind(const Used& used);
  std::uint64_t behind_chain(std::uint64_t position, std::uint64_t id, bool& ends);

  Tables tables_;
  WrittenBytes ring_;
  std::vector<std::uint64_t> written_;  // bytes into the buffers of the chain that begins in a slot
  std::uint64_t next_ = 0;              // where the next used descriptor comes
  std::uint64_t written_ahead_ = 0;     // behind used descriptors that were written before the first of their batch
  bool lost_ = false;                   // nobody can tell where that is: descriptors changed, or something else lies in the ring
};

}  // namespace rw::fuzz
