// Names of hosts that look like others: letters of two scripts, or one script posing as Latin.
#pragma once

#include "scan.h"

namespace interlock::policies::detect {

// The host that begins at `begin` of the folded text (after :// or @).
void ScanHost(Scan& scan, std::size_t begin);
// A label of a host in its ASCII form stands at `at`: xn--….
void ScanPunycode(Scan& scan, std::size_t at);

// Words of letters of two scripts, one of them posing as the other. Input offsets.
void ScanMixedWords(Scan& scan);

// RFC 3492, without the xn-- before it; empty for what is not well formed or has over 63 letters.
std::u32string DecodePunycode(std::string_view label);

}  // namespace interlock::policies::detect
