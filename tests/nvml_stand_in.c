/* A stand-in for NVIDIA's management library: the calls that nvitop makes, of a machine with three cards.
   Card 0 is whole and at work, card 1 is divided by MIG into two slices, card 2 has fallen off the bus.
   A card or slice is the address of its number below. What is not here is a call that an older driver does not know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, GPU_IS_LOST = 15 };
enum { WHOLE, DIVIDED, LOST, SLICE_0, SLICE_1, ALL };
static int numbers[ALL] = {WHOLE, DIVIDED, LOST, SLICE_0, SLICE_1};
typedef int *device;
typedef unsigned int u32;
typedef unsigned long long u64;
static const u64 GIB = 1ull << 30;

static int lost(device one) { return *one == LOST; }
static int slice(device one) { return *one == SLICE_0 || *one == SLICE_1; }
static int fill(char *to, u32 room, const char *text) {
    if (strlen(text) >= room) return SMALL;
    strcpy(to, text);
    return SUCCESS;
}

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlInitWithFlags(u32 flags) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == GPU_IS_LOST ? "GPU is lost" : "not supported"; }
int nvmlSystemGetDriverVersion(char *to, u32 room) { return fill(to, room, "580.95.05"); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return SUCCESS; }

int nvmlDeviceGetCount_v2(u32 *count) { *count = 3; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(u32 index, device *one) {
    if (index > LOST) return INVALID;
    *one = &numbers[index];
    /* STAND_IN_LOST_LATER: the card was well when it was looked for, and fell off the bus since. */
    return index == LOST && !getenv("STAND_IN_LOST_LATER") ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetIndex(device one, u32 *index) {
    if (slice(one)) return NOT_SUPPORTED;
    *index = *one;
    return SUCCESS;
}
int nvmlDeviceGetName(device one, char *to, u32 room) {
    if (lost(one)) return GPU_IS_LOST;
    if (*one == WHOLE) return fill(to, room, "NVIDIA GeForce RTX 4090");
    if (*one == DIVIDED) return fill(to, room, "NVIDIA H100 80GB HBM3");
    return fill(to, room, *one == SLICE_0 ? "NVIDIA H100 80GB HBM3 MIG 3g.40gb" : "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
}
int nvmlDeviceGetUUID(device one, char *to, u32 room) {
    if (lost(one)) return GPU_IS_LOST;
    char text[64];
    snprintf(text, sizeof text, "%s-00000000-0000-0000-0000-%012d", slice(one) ? "MIG" : "GPU", *one);
    return fill(to, room, text);
}

int nvmlDeviceGetMigMode(device one, u32 *current, u32 *pending) {
    if (lost(one)) return GPU_IS_LOST;
    if (*one == WHOLE) return NOT_SUPPORTED;
    *current = *pending = *one == DIVIDED;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(device one, u32 *count) {
    if (lost(one)) return GPU_IS_LOST;
    *count = *one == DIVIDED ? 7 : 0;
    return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(device one, u32 index, device *part) {
    if (lost(one)) return GPU_IS_LOST;
    if (*one != DIVIDED || index > 1) return NOT_FOUND;
    *part = &numbers[SLICE_0 + index];
    return SUCCESS;
}
int nvmlDeviceIsMigDeviceHandle(device one, u32 *is) { *is = slice(one); return SUCCESS; }
int nvmlDeviceGetGpuInstanceId(device one, u32 *id) { *id = *one; return slice(one) ? SUCCESS : NOT_SUPPORTED; }
int nvmlDeviceGetComputeInstanceId(device one, u32 *id) { *id = 0; return slice(one) ? SUCCESS : NOT_SUPPORTED; }
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device one, device *whole) {
    *whole = &numbers[DIVIDED];
    return slice(one) ? SUCCESS : NOT_FOUND;
}

static u64 total(device one) { return (*one == WHOLE ? 24 : *one == DIVIDED ? 80 : *one == SLICE_0 ? 40 : 10) * GIB; }
static u64 used(device one) { return (*one == WHOLE ? 23 : *one == DIVIDED ? 13 : *one == SLICE_0 ? 12 : 1) * GIB; }
int nvmlDeviceGetMemoryInfo(device one, u64 *three) {
    if (lost(one)) return GPU_IS_LOST;
    three[0] = total(one), three[1] = total(one) - used(one), three[2] = used(one);
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(device one, u64 *five) { /* version and padding, total, reserved, free, used */
    if (lost(one)) return GPU_IS_LOST;
    five[1] = total(one), five[2] = 0, five[3] = total(one) - used(one), five[4] = used(one);
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(device one, u32 *two) {
    if (lost(one)) return GPU_IS_LOST;
    if (*one != WHOLE) return NOT_SUPPORTED; /* as of a card that MIG divides, and of its slices */
    two[0] = 87, two[1] = 41;
    return SUCCESS;
}
static int sensor(device one, u32 *to, u32 value) {
    if (lost(one)) return GPU_IS_LOST;
    if (slice(one)) return NOT_SUPPORTED;
    *to = value;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(device one, u32 kind, u32 *degrees) { return sensor(one, degrees, 71); }
int nvmlDeviceGetPowerUsage(device one, u32 *milliwatts) { return sensor(one, milliwatts, 401500); }
int nvmlDeviceGetPowerManagementLimit(device one, u32 *milliwatts) { return sensor(one, milliwatts, 450000); }
int nvmlDeviceGetFanSpeed(device one, u32 *percent) {
    return *one == DIVIDED ? NOT_SUPPORTED : sensor(one, percent, 63);
}

typedef struct { u32 pid; u64 memory; u32 gpu_instance, compute_instance; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(device one, u32 *count, process *found) {
    const char *own = getenv("STAND_IN_PID");
    if (lost(one)) return GPU_IS_LOST;
    u32 here = *one == WHOLE || *one == SLICE_0 ? 1 : 0, room = *count;
    *count = here;
    if (room < here) return SMALL; /* INSUFFICIENT_SIZE: the caller comes again with more room */
    if (here) found[0] = (process){own ? atoi(own) : 1, *one == WHOLE ? 22 * GIB : ~0ull, *one, 0};
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(device one, u32 *count, process *found) {
    if (lost(one)) return GPU_IS_LOST;
    u32 here = *one == WHOLE ? 1 : 0, room = *count;
    *count = here;
    if (room < here) return SMALL;
    if (here) found[0] = (process){4194303, GIB / 4, ~0u, ~0u};
    return SUCCESS;
}
