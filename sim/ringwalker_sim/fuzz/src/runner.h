// Carries out the operations of a case on the link, and looks at what the device does meanwhile.
#pragma once

#include <cstdint>
#include <span>

#include "companion.h"
#include "findings.h"
#include "oracle.h"
#include "record.h"

namespace rw::fuzz {

class Runner final : public Companion {
 public:
  Runner(CompanionHost& host, const Settings& settings) : host_(host), settings_(settings), oracle_(settings, findings_) {}
  virtual ~Runner() = default;

  // The operations of a case, which stay where they are until it has ended. Those from body to recovery are hostile.
  void begin(std::span<const Record> records, std::size_t body, std::size_t recovery);

  const Findings& findings() const { return findings_; }

  Turn turn() override;
  void offered(const RequestPacket& packet) override;
  void offered(const CompletionPacket& packet) override;
  void arrived(const RequestPacket& packet) override;
  void arrived(const CompletionPacket& packet) override;
  void arrived_level(bool level) override;

 private:
  // How far an operation has come that takes time.
  enum class Step { BEGIN, SECOND, WAIT_ANSWER, WAIT_STATUS, WAIT_TIME };
  static constexpr std::uint64_t look_cycles = 150;      // between two looks at the status
  static constexpr std::uint64_t reset_cycles = 8;

  void take_events();
  void start();
  // Whether the operation has ended; if not, turn_ is how long it waits.
  bool carry_out(const Record& record);
  bool access(const Record& record, bool write);
  bool send(const Record& record);
  bool notify(const Record& record);
  bool settle(const Record& record);
  bool reset(const Record& record);
  bool reset_status(const Record& record);
  bool reset_function(const Record& record);
  bool expect_memory(const Record& record);
  bool expect_register(const Record& record);
  bool watch_status(const Record& record);
  void store(const Record& record);
  void fill(const Record& record);

  std::uint64_t now() const { return host_.now().now; }
  bool wait_until(std::uint64_t cycle, bool only_busy = false);
  bool wait_answer(std::uint64_t ticket);
  std::uint64_t submit(Space space, std::uint64_t offset, std::uint32_t size, const std::uint8_t* data);
  bool answered() const { return ticket_ == 0; }
  std::uint8_t* at(std::uint64_t address, std::uint64_t size) const;
  std::uint64_t memory(const Record& record) const;
  Space status_space() const { return settings_.legacy != 0 ? Space::LEGACY : Space::COMMON; }
  std::uint64_t status_offset(Space space) const { return space == Space::LEGACY ? legacy::device_status : common::device_status; }

  CompanionHost& host_;
  const Settings settings_;
  Findings findings_{};
  Oracle oracle_;
  std::span<const Record> records_{};
  std::size_t body_ = 0;
  std::size_t recovery_ = 0;
  std::uint64_t end_ = 0;  // of the time of a case
  bool fresh_ = true;  // the operation has not begun
  Step step_ = Step::BEGIN;
  std::uint64_t began_ = 0;  // the operation
  std::uint64_t look_ = 0;   // at the status, next
  std::uint64_t ticket_ = 0;
  std::uint64_t answer_ = 0;
  bool success_ = false;
  bool awaits_memory_ = false;
  Turn turn_{};
};

}  // namespace rw::fuzz
