// What is written to a write-ahead log goes to the system in few large pieces.
#pragma once

namespace interlock::audit {

// SQLite writes each frame of its write-ahead log by two calls of the system. Through the layer of
// this name, the frames of a transaction are put together; they are written with its last one, and
// before whatever else happens to the file. Other files are SQLite's own, through the layer that is
// the default when they are opened. For the whole process; thread-safe.
const char* WalVfsName();

}  // namespace interlock::audit
