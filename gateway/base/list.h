/* SPDX-License-Identifier: MIT */
/* An intrusive doubly linked ring list. A node in no list points to itself, so removal is idempotent. */
#ifndef GATEWAY_BASE_LIST_H
#define GATEWAY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct gw_list {
    struct gw_list *next, *prev;
};

/* clang-format off */
#define gw_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */
#define gw_list_entry(node, type, member) gw_container_of(node, type, member)
/* Removal of the visited node is allowed. */
#define gw_list_for_each(node, head)                                                     \
    for (struct gw_list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void gw_list_init(struct gw_list *node)
{
    node->next = node->prev = node;
}
static inline bool gw_list_is_empty(const struct gw_list *head)
{
    return head->next == head;
}
/* Is the node in some list? */
static inline bool gw_list_is_linked(const struct gw_list *node)
{
    return node->next != node;
}

static inline void gw_list_remove(struct gw_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    gw_list_init(node);
}

/* Links an unlinked node as the last (push_back) or the first (push_front). */
static inline void gw_list_push_back(struct gw_list *head, struct gw_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void gw_list_push_front(struct gw_list *head, struct gw_list *node)
{
    gw_list_push_back(head->next, node);
}

/* The first node, unlinked; NULL when empty. */
static inline struct gw_list *gw_list_pop_front(struct gw_list *head)
{
    struct gw_list *node = head->next;
    if (node == head)
        return NULL;
    gw_list_remove(node);
    return node;
}

#endif
