// Payloads of the hostile program, by the word that starts them.
#pragma once

#include <map>
#include <string>
#include <vector>

using Args = std::vector<std::string>;
using Payloads = std::map<std::string, std::string (*)(const Args&)>;

// "ok", or the errno's name.
std::string Outcome(long result);
std::string TemporaryFile(const char* name);

Payloads EntryPayloads();     // ways into the kernel: every number, every ABI (rows 38 to 42)
Payloads PressurePayloads();  // ways to wear the machine out (rows 29, 57, 62, 66, 68 to 70)
