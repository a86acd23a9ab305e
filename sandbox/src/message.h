// SEQPACKET messages with descriptors, between the daemon, the launcher and a box's init. A message
// is one datagram: never split, never longer than kMessageBytesMax, at most kMessageFdsMax
// descriptors.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "fd.h"

namespace interlock::sandbox {

inline constexpr std::size_t kMessageBytesMax = 160 << 10;
inline constexpr std::size_t kMessageFdsMax = 80;

// Two connected ends, close-on-exec. False with errno on failure.
bool MessagePair(Fd& a, Fd& b);

// False with errno: EAGAIN only when `flags` has MSG_DONTWAIT.
bool SendMessage(int socket, std::string_view bytes, std::span<const int> fds, int flags);

// As recvmsg(2), descriptors close-on-exec; 0 only when the other end is closed and all that it
// sent was read.
ssize_t ReceiveInto(int socket, msghdr& header, int flags);

enum class Received { kMessage, kStripped, kNothing, kClosed };
// kNothing only with MSG_DONTWAIT. kStripped: the message is whole, its descriptors are lost, since
// this process may open no more. A truncated message, or any error, counts as kClosed: the peer
// cannot be trusted to be in step any more. Descriptors arrive close-on-exec. `bytes` lies in
// `room`; what a message does not fill of it is not touched, so that large room costs no memory.
Received ReceiveMessage(int socket, std::span<char> room, std::string_view& bytes,
                        std::vector<Fd>& fds, int flags);

}  // namespace interlock::sandbox
