// The MAC port's part of a cycle.
#include "host.h"

namespace rw {

#if RW_HAS_MAC

void Host::transfer_mac() {
  const bool valid = pins_.mac_tx_valid();
  MacBeat beat;
  if (valid) pins_.get(beat);
  mac_tx_check_.cycle(valid, mac_tx_ready_, beat);
  if (valid && mac_tx_ready_) mac_.take(beat);
  if (mac_rx_valid_ && pins_.mac_rx_ready()) {
    mac_.beat_taken();
    mac_rx_valid_ = false;
  }
}

void Host::drive_mac() {
  const Parameters& p = shared_.parameters;
  mac_tx_ready_ = !stalls_.chance(p.stall_mac_tx);
  pins_.mac_tx_ready(mac_tx_ready_);
  if (!mac_rx_valid_ && mac_.has_beat() && !stalls_.chance(p.stall_mac_rx)) {
    mac_rx_valid_ = true;
    pins_.put(mac_.beat());
  }
  pins_.mac_rx_valid(mac_rx_valid_);
}

// A frame that the device does not take yet moves only when the guest does something.
bool Host::calm_mac() const {
  if (pins_.mac_tx_valid()) return false;
  return mac_rx_valid_ ? !pins_.mac_rx_ready() : !mac_.waits();
}

void Host::reset_mac() {
  mac_.reset();
  mac_tx_check_.reset();
  mac_tx_ready_ = mac_rx_valid_ = false;
  pins_.mac_tx_ready(false);
  pins_.mac_rx_valid(false);
}

#else

void Host::transfer_mac() {}
void Host::drive_mac() {}
bool Host::calm_mac() const { return true; }
void Host::reset_mac() {}

#endif

}  // namespace rw
