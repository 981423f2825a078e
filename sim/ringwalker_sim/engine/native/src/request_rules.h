// What a request of the device must look like. Ref: PCI Express Base 3.1, 2.2.5, 2.2.6 and 2.2.7.
#pragma once

#include "shared.h"
#include "packets.h"

namespace rw {

// Reports every rule that the request breaks. requester_id is what the device captured, or -1 if unknown.
void check_request(Shared& shared, const RequestHeader& header, int requester_id);

}  // namespace rw
