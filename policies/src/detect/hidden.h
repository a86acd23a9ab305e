// Code points that a person does not see and a model reads. Offsets are those of the input.
#pragma once

#include "scan.h"

namespace interlock::policies::detect {

void ScanHidden(Scan& scan);

}  // namespace interlock::policies::detect
