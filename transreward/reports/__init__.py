"""What people look at: pages, films, cards and exports, all made from what a run left behind."""
