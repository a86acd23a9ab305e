// Payloads of the hostile program, by the word that starts them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

using Args = std::vector<std::string>;
using Payloads = std::map<std::string, std::string (*)(const Args&)>;

// "ok", or the errno's name.
std::string Outcome(long result);
std::string TemporaryFile(const char* name);
// Writes one file until that is refused: "ENOSPC after 65536".
std::string FillTmp();

// All outcomes of one family of calls: the common one, or "mixed" with the odd one.
using Calls = std::vector<std::pair<const char*, std::function<long()>>>;
std::string Same(const Calls& calls);
long Sys(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

Payloads FilePayloads();      // files, names and links (rows 1 to 13, 51, 55, 64, 65)
Payloads EntryPayloads();     // ways into the kernel: every number, every ABI (rows 38 to 42)
Payloads PressurePayloads();  // ways to wear the machine out (rows 29, 57, 62, 66, 68 to 70)
