// A file of several signed notes, as the anchor file is one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::audit {

struct NotesFile {
  std::vector<std::string> notes;
  std::size_t torn = 0;  // left out
};

// Takes a file of checkpoints apart, an empty line between. What a crash tore is left out and
// counted. A file without any that is whole is returned as it is: who checks it says what is wrong.
NotesFile SplitNotes(std::string_view file);

}  // namespace interlock::audit
