// Comes before Verilator's writer of FST files, which ends the process when it closes a file on a disk that is full.
// Here it goes on. Whether all has reached the file, Python sees when the file has been closed.
#pragma once

#include "fstcpp/fstcpp_assertion.h"

#undef FST_DCHECK_EQ
#define FST_DCHECK_EQ(a, b) static_cast<void>(0)
