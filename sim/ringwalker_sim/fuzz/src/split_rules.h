// The rules of a split ring. Ref: virtio 1.4, 2.7.
#pragma once

#include <deque>
#include <vector>

#include "chains.h"
#include "queue_rules.h"

namespace rw::fuzz {

class SplitRules final : public QueueRules {
 public:
  SplitRules(const QueueAreas& areas, Findings& findings);

  void take(const Shown& shown, const Piece& piece) override;
  void carried(std::uint16_t place, Order order) override { covered(place, order); }
  bool may_read(const Range& range) override;
  bool fills(const Range& range) override;
  const Range& used_area() const override { return device_.area(); }
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes, bool other) override;

 private:
  // A value that an entry of the available ring was shown with.
  struct Entry {
    std::uint16_t head;
    Order last;
  };
  // A place of the available ring that an index has covered, and that is not used.
  struct Offer {
    std::uint64_t position;
    Order covered;
    std::uint64_t written = 0;  // bytes into its buffers
  };
  static constexpr std::size_t most_offers = 4;  // of one slot

  void covered(std::uint16_t index, Order order);
  // Visits what each chain that is available grants.
  template <class Visit>
  void each_chain(Visit&& visit);
  void visit_chain(std::uint16_t head, Order order, const Tables::Visit& visit) const;
  std::vector<std::uint16_t> heads(const Offer& offer) const;
  void judge_used(std::uint64_t address, std::span<const std::uint8_t> bytes);
  void judge_element(std::size_t slot);
  void judge_index();

  Tables tables_;
  WrittenBytes device_;
  std::vector<std::vector<Entry>> entries_;
  std::vector<bool> elements_;  // written, and not covered by the used index
  std::deque<Offer> offers_{};
  std::uint64_t available_ = 0;
  std::uint64_t used_ = 0;
  bool lost_ = false;  // a buffer or another ring lies in the used ring
};

}  // namespace rw::fuzz
